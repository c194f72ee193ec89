// A question as the fragment of an address, and back: what is behind "#" never leaves the browser.

export const MOST_BOXES = 40;
const ID = /^[0-9a-f]{16}$/;

// `state`: {image, kept, boxes: [[x0, y0, x1, y1], ...], question, choices: [text, ...], asked}.
// `kept` says that the image is one of the run's, which whoever opens the link can load.
export function fragment(state) {
  const said = new URLSearchParams();
  if (state.image) said.set(state.kept ? "image" : "unkept", state.image);
  const boxes = state.boxes.map((box) => box.map((corner) => Number(corner.toFixed(2))).join(","));
  if (boxes.length) said.set("boxes", boxes.join(";"));
  if (state.question) said.set("question", state.question);
  for (const choice of state.choices) said.append("choice", choice);
  if (state.asked) said.set("asked", "1");
  return `#${said}`;
}

// Returns a state, or null where the fragment is of no question. Links come from anywhere: what is
// malformed is left out, and nothing of it is ever more than text and numbers. `boxes` is null where
// the link says nothing of them.
export function parsed(hash) {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const kept = said.has("image");
  const image = said.get("image") ?? said.get("unkept") ?? "";
  const boxes = (said.get("boxes") ?? "").split(";").map((text) => text.split(",").map(Number));
  const state = {
    image: ID.test(image) ? image : null,
    kept,
    boxes: said.has("boxes") ? boxes.filter(isBox).slice(0, MOST_BOXES) : null,
    question: said.get("question") ?? "",
    choices: said.getAll("choice"),
    asked: said.get("asked") === "1",
  };
  return state.image || state.question || state.choices.length ? state : null;
}

function isBox(box) {
  const [x0, y0, x1, y1] = box;
  return box.length === 4 && box.every(Number.isFinite) && x1 > x0 && y1 > y0;
}
