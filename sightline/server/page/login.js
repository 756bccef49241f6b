// Logging in, where the server wants a token.

import { post } from "./api.js";
import { el, field, say } from "./dom.js";
import { t } from "./texts.js";

/** Asks for a token until one is right; returns the session. */
export function showLogin() {
  return new Promise((resolve) => {
    const token = el("input", { type: "password", name: "token", autocomplete: "current-password", required: true });
    const error = el("p", { class: "error", role: "alert" });
    const submit = async (event) => {
      event.preventDefault();
      say(error, "");
      try {
        const session = await post("/api/session", { token: token.value });
        document.body.replaceChildren();
        resolve(session);
      } catch (refused) {
        const known = { 401: "login.wrong", 429: "login.often" }[refused.status];
        say(error, known ? t(known) : refused.message);
        token.select();
      }
    };
    document.body.replaceChildren(
      el("main", { class: "login" },
        el("form", { class: "card", on: { submit } },
          el("img", { src: "/page/icon.svg", alt: "", width: 40, height: 40 }),
          el("h1", {}, t("login.title")),
          field(t("login.token"), token, t("login.note")),
          error,
          el("button", { class: "primary" }, t("login.submit")),
        ),
      ),
    );
    token.focus();
  });
}
