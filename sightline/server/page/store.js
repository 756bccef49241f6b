// Whether the run keeps its events, asked once.

import { get } from "./api.js";

let answer = null;

/** Whether there is a store that can be asked about the past. */
export function hasStore() {
  answer ??= get("/api/config").then(
    ({ store }) => Boolean(store?.path) && store.format === "sqlite",
    (error) => {
      answer = null; // the next one who asks may be luckier
      throw error;
    },
  );
  return answer;
}
