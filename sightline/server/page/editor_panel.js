// The form beside a picture whose zones and lines are edited.

import { ApiError, post, streamPath } from "./api.js";
import { shapeColor } from "./colors.js";
import { button, el, field, say } from "./dom.js";
import { ShapeEditor } from "./editor.js";
import { applyShapes, configured, copied } from "./shapes.js";
import { hasStore } from "./store.js";
import { t } from "./texts.js";

// A phone has none to tell of.
const KEYBOARD = matchMedia("(hover: hover)").matches;
const ANCHORS = ["bottom_center", "center", "top_center", "left_center", "right_center"];

/** Edits a stream's shapes until `done`. `element` is what to put beside the picture. */
export class EditorPanel {
  #errors = [];
  #tried = null;
  #saved;

  /**
   * @param {Stage} stage
   * @param {object} stream
   * @param {() => void} done is called when editing is over.
   */
  constructor(stage, stream, done) {
    this.stage = stage;
    this.stream = stream;
    this.#saved = copied(stage.shapes);
    this.spoken = el("p", { class: "hidden", "aria-live": "polite" });
    this.editor = new ShapeEditor(stage, (text) => say(this.spoken, text));
    this.editor.addEventListener("change", () => this.#render());
    this.hint = el("p", { class: "note" });
    this.list = el("ul", { class: "shapes" });
    this.adding = el("div", { class: "row" });
    this.hours = el("input", { type: "number", min: 1, max: 720, value: 24, class: "short" });
    this.tried = el("div", { class: "tried", "aria-live": "polite" });
    this.message = el("p", { role: "status" });
    this.apply = button(t("edit.apply"), () => this.#apply(), { class: "primary" });
    this.discard = button(t("edit.discard"), () => this.#discard());
    this.element = el("section", { class: "card editor" },
      el("h2", {}, t("edit.title")),
      this.hint,
      this.adding,
      this.list,
      el("div", { class: "dry" },
        el("h3", {}, t("edit.dry")),
        el("div", { class: "row" }, field(t("edit.hours"), this.hours), button(t("edit.dry.run"), () => this.#try())),
        this.tried,
      ),
      el("div", { class: "row actions" }, this.message, this.apply, this.discard, button(t("edit.leave"), () => this.#leave(done), { class: "push" })),
      this.spoken,
    );
    this.#render();
  }

  /** Whether something was changed and not applied. */
  get changed() {
    return JSON.stringify(this.stage.shapes) !== JSON.stringify(this.#saved);
  }

  /** Ends editing; what was not applied is given up. */
  close() {
    this.stage.shapes = this.#saved;
    this.editor.close();
    this.element.remove();
  }

  #render() {
    const { drawing, selected } = this.editor;
    const doing = drawing?.kind ?? (this.stage.shapes.length ? "edit" : null);
    const hints = doing ? [t(`edit.hint.${doing}`), KEYBOARD && t(`edit.keys.${doing}`)] : [t("edit.none")];
    say(this.hint, hints.filter(Boolean).join(" "));
    this.adding.replaceChildren(
      ...(drawing
        ? [button(t("edit.finish"), () => this.editor.finish()), button(t("edit.cancel"), () => this.editor.cancel())]
        : ["Zone", "Line"].map((kind) => button(t(`edit.add${kind}`), () => this.editor.begin(kind.toLowerCase())))),
    );
    // A form that somebody types into is left alone: only what it says about is drawn anew.
    const key = JSON.stringify([selected, this.stage.shapes.map((shape) => [shape.kind, shape.config]), this.#errors]);
    if (key !== this.renderedKey) {
      this.renderedKey = key;
      this.list.replaceChildren(...this.stage.shapes.map((shape, index) => this.#item(shape, index)));
    }
    this.apply.disabled = this.discard.disabled = !this.changed;
    if (this.changed && !this.#errors.length) this.#say(t("edit.changed"));
  }

  #item(shape, index) {
    const mine = this.#errors.filter((error) => error.shape === shape);
    const chosen = index === this.editor.selected;
    const title = el("button", { type: "button", class: "shape", "aria-expanded": String(chosen), on: { click: () => this.editor.select(chosen ? -1 : index) } },
      swatch(shapeColor(index), shape.kind), el("span", {}, shape.name), el("small", {}, t(`edit.${shape.kind}`)));
    return el("li", {}, title, mine.map((error) => el("p", { class: "error", role: "alert" }, error.message)), chosen && this.#form(shape, index, title));
  }

  #form(shape, index, title) {
    const changed = () => this.#render();
    const name = el("input", { value: shape.name, maxlength: 200, on: { input: () => {
      shape.name = name.value;
      say(title.children[1], name.value);
      this.stage.redraw();
      changed();
    } } });
    const classes = el("input", { value: (shape.config.classes ?? []).join(", "), on: { change: () => {
      const names = classes.value.split(",").map((each) => each.trim()).filter(Boolean);
      shape.config.classes = names.length ? names : null;
      changed();
    } } });
    const anchor = el("select", { on: { change: () => {
      shape.config.anchor = anchor.value;
      changed();
    } } }, ANCHORS.map((each) => el("option", { value: each, selected: each === (shape.config.anchor ?? ANCHORS[0]) }, t(`anchor.${each}`))));
    return el("div", { class: "form" },
      field(t("edit.name"), name),
      field(t("edit.classes"), classes, t("edit.classes.note")),
      field(t("edit.anchor"), anchor),
      el("div", { class: "row" },
        shape.kind === "line" && button(t("edit.turn"), () => this.editor.turn(shape)),
        button(t("edit.delete"), () => this.editor.remove(index), { class: "danger" }),
      ),
    );
  }

  async #try() {
    try {
      if (!(await hasStore())) {
        this.tried.replaceChildren(el("p", { class: "note" }, t("edit.dry.nostore")));
        return;
      }
      const wanted = configured(this.stream, this.stage.shapes);
      const found = await post(streamPath(this.stream.name, "dry-run"), { ...wanted, hours: Number(this.hours.value) || 24 });
      this.#errors = [];
      this.tried.replaceChildren(
        el("p", { class: "note" }, found.tracks ? t("edit.dry.tracks", { count: found.tracks }) : t("edit.dry.none")),
        ...Object.entries(found.zones).map(([name, zone]) => outcome(name, t("edit.dry.zone", { count: zone.entered }))),
        ...Object.entries(found.lines).map(([name, line]) => outcome(name, t("edit.dry.line", line))),
      );
    } catch (error) {
      if (error instanceof ApiError && error.status === 422) this.#refused(error);
      else this.tried.replaceChildren(el("p", { class: "note" }, error.message));
    }
    this.#render();
  }

  async #apply() {
    const twice = this.stage.shapes.filter((shape) => this.stage.shapes.some((other) => other !== shape && other.kind === shape.kind && other.name === shape.name));
    if (twice.length) {
      this.#errors = twice.map((shape) => ({ shape, message: t("edit.twice") }));
      this.#render();
      return;
    }
    this.apply.disabled = true;
    try {
      await applyShapes(this.stream, this.stage.shapes);
      this.#errors = [];
      this.#saved = copied(this.stage.shapes);
      this.#render();
      this.#say(t("edit.applied"), "good");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#refused(error);
      this.#render();
    }
  }

  /** Puts each error where it belongs: `zones.yard.polygon` beside the zone yard, others under all. */
  #refused({ errors }) {
    const placed = errors.map(({ where, message }) => {
      const ofIt = this.stage.shapes.filter(({ kind, name }) => `${where}.`.startsWith(`${kind}s.${name}.`));
      return { shape: ofIt.sort((one, other) => other.name.length - one.name.length)[0] ?? null, message };
    });
    this.#errors = placed;
    const first = placed.find(({ shape }) => shape);
    if (first) this.editor.select(this.stage.shapes.indexOf(first.shape));
    this.#say(placed.filter(({ shape }) => !shape).map(({ message }) => message).join(" "), "error");
  }

  /** What was changed is not lost by ending. */
  #leave(done) {
    if (this.changed) this.#say(t("edit.first"), "error");
    else done();
  }

  #discard() {
    this.#errors = [];
    this.stage.shapes = copied(this.#saved);
    this.#say("");
    this.editor.select(-1);
  }

  #say(text, kind = "") {
    this.message.className = kind;
    say(this.message, text);
  }
}

/** The mark of a shape in its colour. */
export function swatch(color, kind) {
  const mark = el("i", { class: `swatch ${kind}` });
  mark.style.color = color;
  return mark;
}

function outcome(name, text) {
  return el("p", {}, el("strong", {}, name), " ", text);
}
