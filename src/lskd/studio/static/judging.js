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

// Ask what is wrong with an item; "" where it is kept after all.
export async function askReason() {
  const dialog = find("#flagging");
  find("#why").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  find("#why").focus();
  await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
  return dialog.returnValue === "flag" ? find("#why").value.trim() : "";
}

export function wireReasons() {
  for (const button of all("[data-reason]")) {
    button.addEventListener("click", () => {
      find("#why").value = button.dataset.reason;
      find("#flagging").close("flag");
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
