// Asking the server.

/** What the server said against a request. */
export class ApiError extends Error {
  /**
   * @param {number} status of the answer; 0 where there was none.
   * @param {{where: string, message: string}[]} errors what is wrong, and where in what was sent.
   */
  constructor(status, errors) {
    super(errors.map((error) => error.message).join("; "));
    this.status = status;
    this.errors = errors;
  }
}

/** Called when the server no longer knows who we are. */
export const lost = new EventTarget();

async function ask(method, path, body, signal) {
  let response;
  try {
    response = await fetch(path, {
      method,
      signal,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, [{ where: "", message: error.message }]);
  }
  const answer = response.headers.get("Content-Type")?.includes("json") ? await response.json() : null;
  if (response.ok) return answer;
  if (response.status === 401 && path !== "/api/session") lost.dispatchEvent(new Event("lost"));
  throw new ApiError(response.status, answer?.errors ?? answer?.trouble?.map((message) => ({ where: "", message })) ?? [{ where: "", message: `${response.status} ${response.statusText}` }]);
}

/** GET. @param {string} path @param {object} query what is empty is left out, arrays are given value by value. */
export function get(path, query = {}, signal = undefined) {
  const given = Object.entries(query)
    .flatMap(([name, value]) => [value].flat().map((each) => [name, each]))
    .filter(([, value]) => value !== null && value !== undefined && value !== "");
  const search = new URLSearchParams(given).toString();
  return ask("GET", search ? `${path}?${search}` : path, undefined, signal);
}

export const post = (path, body = {}) => ask("POST", path, body);
export const put = (path, body) => ask("PUT", path, body);
export const remove = (path) => ask("DELETE", path);

/** The path of a stream's own part of the API. */
export function streamPath(stream, part) {
  return `/api/streams/${encodeURIComponent(stream)}/${part}`;
}
