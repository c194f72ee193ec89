// Without this script every card is shown; with it, the buttons above the gallery choose.
const cards = [...document.querySelectorAll(".card")];
const choice = { kind: "", style: "" };
for (const bar of document.querySelectorAll(".filter")) {
  bar.hidden = false;
  bar.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    choice[bar.dataset.by] = button.value;
    for (const other of bar.querySelectorAll("button")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    for (const card of cards) {
      card.hidden = Object.entries(choice).some(([by, value]) => value && card.dataset[by] !== value);
    }
    document.querySelector("#none").hidden = cards.some((card) => !card.hidden);
  });
}
