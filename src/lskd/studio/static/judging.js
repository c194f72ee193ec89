// What the pages of judging share: the panel of rest, what waits to be sent, flags, and light.
import { all, find } from "/static/studio.js";

// Say why no item is in view, with the way back to Prolific where there is one.
export function rest(title, text, labelled, { code, finished } = {}) {
  find("#rest-title").textContent = title;
  find("#rest-text").textContent = text;
  find("#code").hidden = !code;
  find("#code code").textContent = code ?? "";
  find("#finish").hidden = !finished;
  if (finished) find("#finish").href = finished;
  find("#rest-undo").hidden = !labelled;
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

// A region that is pointed at in a text stands out in the picture.
export function wireLight(places, boxes) {
  for (const place of all(places)) {
    place.addEventListener("pointerover", ({ target }) => boxes.light(target.dataset?.region ? [Number(target.dataset.region)] : []));
    place.addEventListener("pointerleave", () => boxes.light([]));
  }
}
