// Numbered regions on a picture: an <svg> laid on an <img>. All coordinates are pixels of the
// upright original, whatever size the picture is shown in; x1 and y1 are outside.
//
//   const boxes = new Boxes(element, { editable: true }); // or { still: true }: to be looked at only
//   boxes.show("/images/0123456789abcdef", width, height, regions);
//   boxes.addEventListener("change", () => use(boxes.regions));
//
// The order of drawing is the order of ids, always: the first box is [0], and when one is deleted,
// those after it move up. Events: "change" (detail.deleted is the id that went, if one did),
// "choose" (detail.id or null).
//
// Draw: drag. Choose: click, Tab or digits. Move: drag the chosen box, or arrow keys (shift: by 10;
// alt: the lower right corner). Resize: drag a handle. Delete: Del or Backspace. Escape: choose
// none. N: a new box in the middle, for those who use no pointer.
import { COLOURS } from "/static/colours.js";

const SVG = "http://www.w3.org/2000/svg";
const LEAST = 6; // pixels of the screen: a shorter drag is a click
const HANDLES = { nw: [0, 0], n: [0.5, 0], ne: [1, 0], e: [1, 0.5], se: [1, 1], s: [0.5, 1], sw: [0, 1], w: [0, 0.5] };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const draw = (tag, attributes, ...children) => {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const corners = (box) =>
  Array.isArray(box) ? { x0: box[0], y0: box[1], x1: box[2], y1: box[3] } : { x0: box.x0, y0: box.y0, x1: box.x1, y1: box.y1 };
const ordered = ({ x0, y0, x1, y1 }) => ({
  x0: Math.min(x0, x1), y0: Math.min(y0, y1), x1: Math.max(x0, x1), y1: Math.max(y0, y1),
});

export class Boxes extends EventTarget {
  #regions = [];
  #chosen = null; // an id
  #lit = new Set();
  #drag = null;
  #drawing = false;
  #typed = "";
  #typedAt = 0;

  constructor(holder, { editable = false, still = false, most = 50, alt = "" } = {}) {
    super();
    this.editable = editable;
    this.still = still;
    this.most = most;
    this.width = this.height = 1;
    this.holder = holder;
    this.image = document.createElement("img");
    this.image.alt = alt;
    this.image.draggable = false;
    this.image.decoding = "async";
    this.svg = draw("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none" });
    this.spoken = document.createElement("div");
    this.spoken.className = "visually-hidden";
    this.spoken.setAttribute("aria-live", "polite");
    this.missing = document.createElement("p");
    this.missing.className = "missing";
    this.missing.hidden = true;
    holder.classList.add("boxes");
    holder.classList.toggle("editable", editable);
    holder.classList.toggle("still", still);
    holder.replaceChildren(this.image, this.missing, this.svg, this.spoken);
    this.image.addEventListener("error", () => {
      this.missing.textContent = "The picture cannot be shown.";
      this.missing.hidden = false;
    });
    this.image.addEventListener("load", () => (this.missing.hidden = true));
    if (still) this.svg.setAttribute("aria-hidden", "true");
    else this.svg.addEventListener("pointerdown", (event) => this.#down(event));
    if (editable) {
      this.svg.tabIndex = 0;
      this.svg.setAttribute("role", "application");
      this.svg.setAttribute("aria-label", "Regions. Drag to draw; N adds one; arrows move it; Delete removes it.");
      this.svg.addEventListener("pointermove", (event) => this.#move(event));
      this.svg.addEventListener("pointerup", (event) => this.#up(event));
      this.svg.addEventListener("pointercancel", () => this.#cancel());
      this.svg.addEventListener("keydown", (event) => this.#key(event));
    }
    new ResizeObserver(() => this.#render()).observe(holder);
  }

  // Show a picture; `src` may be of any size, `width` and `height` are the upright original's.
  show(src, width, height, regions = []) {
    this.width = width;
    this.height = height;
    this.image.width = width;
    this.image.height = height;
    this.image.src = src;
    this.holder.style.setProperty("--ratio", width / height);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#chosen = null;
    this.#lit.clear();
    this.regions = regions;
  }

  get regions() {
    return this.#regions.map((region) => ({ ...region, box: { ...region.box } }));
  }

  // Regions are { id, box, label?, description?, polygons? }; a box is { x0, y0, x1, y1 }, or a list
  // of these four.
  set regions(list) {
    this.#cancel();
    this.#regions = list.map((region) => ({ ...region, box: corners(region.box) }));
    if (this.editable) this.#number();
    if (!this.#regions.some((region) => region.id === this.#chosen)) this.#chosen = null;
    this.#render();
  }

  get chosen() {
    return this.#chosen;
  }

  choose(id, focus = false) {
    const known = this.#regions.some((region) => region.id === id);
    const next = known ? id : null;
    const changed = next !== this.#chosen;
    this.#chosen = next;
    if (changed) this.#render();
    if (focus && known) this.#group(id)?.focus({ preventScroll: true });
    if (changed) this.dispatchEvent(new CustomEvent("choose", { detail: { id: next } }));
  }

  // Make some regions stand out, the others faint; nothing given shows all alike.
  light(ids = []) {
    this.#lit = new Set(ids);
    this.#render();
  }

  add(box) {
    if (!this.editable || this.#regions.length >= this.most) return null;
    const id = this.#regions.length;
    this.#regions.push({ id, box: this.#inside(box) });
    this.#chosen = id;
    this.#changed(`Region ${id} drawn.`);
    return id;
  }

  remove(id) {
    if (!this.editable || !this.#regions.some((region) => region.id === id)) return;
    this.#regions = this.#regions.filter((region) => region.id !== id);
    this.#number();
    this.#chosen = this.#regions.length ? Math.min(id, this.#regions.length - 1) : null;
    this.#changed(`Region ${id} deleted.`, { deleted: id });
    (this.#group(this.#chosen) ?? this.svg).focus({ preventScroll: true });
  }

  clear() {
    while (this.#regions.length) this.remove(this.#regions.length - 1);
  }

  #number() {
    this.#regions.forEach((region, place) => (region.id = place));
  }

  #changed(text, detail = {}) {
    this.spoken.textContent = text;
    this.#render();
    this.dispatchEvent(new CustomEvent("change", { detail }));
  }

  #group(id) {
    return this.svg.querySelector(`.region[data-id="${id}"]`);
  }

  // Whole pixels within the picture, at least one of them.
  #inside(box) {
    const { x0, y0, x1, y1 } = ordered(box);
    const left = clamp(Math.round(x0), 0, this.width - 1);
    const top = clamp(Math.round(y0), 0, this.height - 1);
    return {
      x0: left, y0: top,
      x1: clamp(Math.round(x1), left + 1, this.width), y1: clamp(Math.round(y1), top + 1, this.height),
    };
  }

  #moved(box, dx, dy) {
    const across = clamp(dx, -box.x0, this.width - box.x1);
    const down = clamp(dy, -box.y0, this.height - box.y1);
    return { x0: box.x0 + across, y0: box.y0 + down, x1: box.x1 + across, y1: box.y1 + down };
  }

  // Original pixels for each pixel of the screen.
  get #scale() {
    return this.width / (this.svg.getBoundingClientRect().width || this.width);
  }

  get #small() {
    return this.svg.getBoundingClientRect().width < 320;
  }

  #at(event) {
    const frame = this.svg.getBoundingClientRect();
    return {
      x: clamp(((event.clientX - frame.left) / frame.width) * this.width, 0, this.width),
      y: clamp(((event.clientY - frame.top) / frame.height) * this.height, 0, this.height),
    };
  }

  #down(event) {
    if (!event.isPrimary || event.button !== 0) return;
    const group = event.target.closest("[data-id]");
    const id = group ? Number(group.dataset.id) : null;
    if (!this.editable) {
      this.choose(id, true);
      return;
    }
    event.preventDefault();
    this.svg.setPointerCapture(event.pointerId);
    const start = this.#at(event);
    const region = this.#regions.find((one) => one.id === id);
    const onLine = event.target.matches(".line, .case, .plate");
    let kind = "draw";
    if (event.target.dataset.handle) kind = "resize";
    else if (region && (onLine || id === this.#chosen) && !event.altKey) kind = "move";
    this.#drag = { kind, id, start, pointer: event.pointerId, handle: event.target.dataset.handle, before: region && { ...region.box } };
    if (kind === "move") this.choose(id, true);
  }

  #move(event) {
    const drag = this.#drag;
    if (!drag || event.pointerId !== drag.pointer) return;
    const { x, y } = this.#at(event);
    const least = LEAST * this.#scale;
    if (!drag.begun && Math.hypot(x - drag.start.x, y - drag.start.y) < least) return;
    drag.begun = true;
    if (drag.kind === "draw") {
      drag.box = this.#inside({ x0: drag.start.x, y0: drag.start.y, x1: x, y1: y });
    } else if (drag.kind === "move") {
      drag.box = this.#moved(drag.before, Math.round(x - drag.start.x), Math.round(y - drag.start.y));
    } else {
      const box = { ...drag.before };
      if (drag.handle.includes("w")) box.x0 = x;
      if (drag.handle.includes("e")) box.x1 = x;
      if (drag.handle.includes("n")) box.y0 = y;
      if (drag.handle.includes("s")) box.y1 = y;
      drag.box = this.#inside(box);
    }
    this.#render();
  }

  #up(event) {
    const drag = this.#drag;
    if (!drag || event.pointerId !== drag.pointer) return;
    this.#move(event);
    this.#drag = null;
    if (!drag.begun) {
      this.choose(drag.id, true);
      if (drag.id === null) this.svg.focus({ preventScroll: true });
      return;
    }
    if (drag.kind === "draw") {
      if (drag.box.x1 - drag.box.x0 < 2 || drag.box.y1 - drag.box.y0 < 2) this.#render();
      else if (this.add(drag.box) === null) {
        this.spoken.textContent = `No more than ${this.most} regions.`;
        this.#render();
      }
    } else {
      this.#regions.find((one) => one.id === drag.id).box = drag.box;
      this.#changed(`Region ${drag.id} ${drag.kind === "move" ? "moved" : "resized"}.`);
    }
    (this.#group(this.#chosen) ?? this.svg).focus({ preventScroll: true });
  }

  #cancel() {
    if (!this.#drag) return;
    this.#drag = null;
    this.#render();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey) return;
    const region = this.#regions.find((one) => one.id === this.#chosen);
    if (event.key in ARROWS && region) this.#nudge(region, event);
    else if ((event.key === "Delete" || event.key === "Backspace") && region) this.remove(region.id);
    else if (event.key === "Escape" && this.#drag) this.#cancel();
    else if (event.key === "Escape" && region) {
      this.choose(null);
      this.svg.focus({ preventScroll: true });
    } else if (/^[0-9]$/.test(event.key)) this.#digit(event.key);
    else if (event.key === "n" || event.key === "N") {
      const [x, y] = [this.width, this.height];
      if (this.add({ x0: 0.375 * x, y0: 0.375 * y, x1: 0.625 * x, y1: 0.625 * y }) === null) return;
      this.#group(this.#chosen).focus({ preventScroll: true });
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #nudge(region, event) {
    const step = event.shiftKey ? 10 : 1;
    const [dx, dy] = ARROWS[event.key].map((way) => way * step);
    const { x0, y0, x1, y1 } = region.box;
    region.box = event.altKey
      ? this.#inside({ x0, y0, x1: Math.max(x0 + 1, x1 + dx), y1: Math.max(y0 + 1, y1 + dy) })
      : this.#moved(region.box, dx, dy);
    const id = region.id;
    this.#changed(`Region ${id} ${event.altKey ? "resized" : "moved"}.`);
    this.#group(id).focus({ preventScroll: true });
  }

  // "1" chooses [1]; "1", "2" in a row choose [12].
  #digit(key) {
    const now = performance.now();
    this.#typed = now - this.#typedAt < 700 ? this.#typed + key : key;
    this.#typedAt = now;
    const wanted = [Number(this.#typed), Number(key)];
    const id = wanted.find((one) => this.#regions.some((region) => region.id === one));
    if (id !== undefined) this.choose(id, true);
  }

  #render() {
    const focused = document.activeElement?.closest?.(".region");
    const held = focused && this.svg.contains(focused) ? focused.dataset.id : null;
    const shown = this.#regions.map((region) =>
      this.#drag?.id === region.id && this.#drag.box && this.#drag.kind !== "draw" ? { ...region, box: this.#drag.box } : region,
    );
    // Large ones first, so that a small one within can be reached.
    const area = ({ box }) => (box.x1 - box.x0) * (box.y1 - box.y0);
    const order = [...shown].sort((one, other) => area(other) - area(one) || one.id - other.id);
    const parts = order.map((region) => this.#drawn(region));
    if (this.#drag?.kind === "draw" && this.#drag.box) {
      parts.push(this.#drawn({ id: this.#regions.length, box: this.#drag.box }));
    }
    // Numbers over all lines, so that none is crossed out.
    this.svg.replaceChildren(...parts.map(([group]) => group), ...parts.map(([, badge]) => badge));
    this.holder.classList.toggle("small", this.#small);
    if (held === null) return;
    this.#drawing = true; // the focus stays where it was, and chooses nothing
    this.#group(held)?.focus({ preventScroll: true });
    this.#drawing = false;
  }

  #drawn(region) {
    const { id, box } = region;
    const [paint, ink] = COLOURS[id % COLOURS.length];
    const place = { x: box.x0, y: box.y0, width: Math.max(box.x1 - box.x0, 0), height: Math.max(box.y1 - box.y0, 0) };
    const chosen = id === this.#chosen;
    const faint = this.#lit.size > 0 && !this.#lit.has(id);
    const words = [region.description || region.label].filter(Boolean);
    const group = draw("g", {
      class: ["region", chosen && "chosen", this.#lit.has(id) && "lit", faint && "faint"].filter(Boolean).join(" "),
      "data-id": id,
      ...(this.still ? {} : { tabindex: 0, role: "button", "aria-pressed": chosen,
        "aria-label": [`Region ${id}`, ...words, `${Math.round(place.width)} by ${Math.round(place.height)} pixels`].join(", ") }),
    });
    if (!this.still) group.addEventListener("focus", () => !this.#drawing && this.#chosen !== id && this.choose(id, true));
    if (words.length) group.append(draw("title", {}, words[0]));
    group.append(draw("rect", { class: "body", ...place }));
    const outlines = (region.polygons ?? []).filter((polygon) => polygon.length >= 6);
    for (const [kind, stroke] of [["case", ink], ["line", paint]]) {
      if (outlines.length) {
        for (const points of outlines) group.append(draw("polygon", { class: kind, stroke, points: points.join(" ") }));
      } else group.append(draw("rect", { class: kind, stroke, ...place }));
    }
    if (this.editable && chosen) {
      const side = 10 * this.#scale;
      for (const [handle, [across, down]] of Object.entries(HANDLES)) {
        const [x, y] = [place.x + across * place.width - side / 2, place.y + down * place.height - side / 2];
        group.append(draw("rect", { class: `handle ${handle}`, "data-handle": handle, x, y, width: side, height: side, fill: paint, stroke: ink }));
      }
    }
    const badge = draw("g", { class: faint ? "badge faint" : "badge", "data-id": id, "aria-hidden": true });
    badge.append(...this.#plate(id, place, paint, ink));
    return [group, badge];
  }

  // The number, above the upper left corner, or within the box where there is no room above.
  #plate(id, place, paint, ink) {
    const unit = this.#scale * (this.#small ? 0.8 : 1);
    const [height, width] = [19 * unit, (10 + 9 * String(id).length) * unit];
    const x = clamp(place.x, 0, Math.max(0, this.width - width));
    const y = place.y >= height ? place.y - height : Math.max(0, place.y);
    const text = draw("text", { x: x + width / 2, y: y + height / 2, fill: ink, "font-size": 14 * unit }, String(id));
    return [draw("rect", { class: "plate", x, y, width, height, rx: 4 * unit, fill: paint, stroke: ink, "stroke-width": unit }), text];
  }
}
