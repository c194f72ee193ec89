// What the pages of judging share: the panel of rest, what waits to be sent, flags, and light.
import { all, find } from "/static/studio.js";

// Say why no item is in view, with the way back to Prolific where there is one.
export function rest(title, text, progress, { code, finished } = {}) {
  find("#rest-title").textContent = title;
  find("#rest-text").textContent = text;
  find("#code").hidden = !code;
  find("#code code").textContent = code ?? "";
  find("#finish").hidden = !finished;
  if (finished) find("#finish").href = finished;
  find("#rest-undo").hidden = !progress || progress.labelled + progress.skipped + progress.flagged === 0;
}

export function tellWaiting(outbox) {
  const held = outbox.size;
  find("#waiting").hidden = held === 0 || !outbox.trouble;
  find("#waiting").textContent = `${held} ${held === 1 ? "answer is" : "answers are"} kept here and sent again`;
  find("#waiting").title = outbox.trouble?.message ?? "";
}

// Ask for a reason in a dialog; null where the item is kept after all. Only a flag has to have one.
export async function askReason(name) {
  const dialog = find(name);
  const field = find("input", dialog);
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  field.focus();
  await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
  return dialog.returnValue ? field.value.trim() : null;
}

export function wireReasons() {
  for (const button of all("[data-reason]")) {
    const dialog = button.closest("dialog");
    button.addEventListener("click", () => {
      find("input", dialog).value = button.dataset.reason;
      dialog.close("said");
    });
  }
}

// Whether there is nothing more for a participant who passed items on and judged too few.
export const isShort = ({ wanted, labelled, skipped, flagged }) => wanted !== null && labelled < wanted && skipped + flagged > 0;

export const short = ({ wanted, labelled }) =>
  `${labelled} of ${wanted} items are judged. Undo opens again what you passed on, unless others have it by now.`;

// What a click does; the second click of a double click is not meant for what the first one brought.
export const single = (act) => (event) => (event.detail > 1 ? undefined : act(event));

// A region that is pointed at in a text stands out in the picture.
export function wireLight(places, boxes) {
  for (const place of all(places)) {
    place.addEventListener("pointerover", ({ target }) => boxes.light(target.dataset?.region ? [Number(target.dataset.region)] : []));
    place.addEventListener("pointerleave", () => boxes.light([]));
  }
}
