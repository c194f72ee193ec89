// A question and its answers as one picture, drawn here, so that it goes nowhere unless it is sent.

const WIDTH = 1200;
const EDGE = 56;
const INNER = WIDTH - 2 * EDGE;
const TALLEST = 760;
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif';
// The studio's light colours: a card looks the same wherever it is read.
const INK = "#1f2328", SOFT = "#626972", PAPER = "#faf9f6", FIELD = "#e9edf0", STRONG = "#2f6690";

// `marked` is the address of the marked picture, `answers` are [{name, ranked, wrote, outside}]:
// `ranked` is [{choice, match}], `wrote` {answer, rationale} or null, `outside` why it means nothing,
// or null. Returns a PNG as a Blob.
export async function card({ marked, question, answers }) {
  const picture = new Image();
  picture.src = marked;
  await picture.decode();
  const pen = document.createElement("canvas").getContext("2d");
  const plan = (draw) => layout(pen, picture, question, answers, draw);
  const height = plan(false); // measured first: a canvas is emptied when its size is set
  pen.canvas.width = WIDTH;
  pen.canvas.height = height;
  pen.fillStyle = PAPER;
  pen.fillRect(0, 0, WIDTH, height);
  plan(true);
  return new Promise((done, failed) => {
    pen.canvas.toBlob(
      (blob) => (blob ? done(blob) : failed(new Error("this browser made no picture"))),
      "image/png",
    );
  });
}

// Goes down the card and returns its height in pixels; draws only if told to.
function layout(pen, picture, question, answers, draw) {
  const scale = Math.min(INNER / picture.width, TALLEST / picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  if (draw) pen.drawImage(picture, (WIDTH - width) / 2, EDGE, width, height);
  let y = EDGE + height + 36;
  y = text(pen, question, `600 34px ${FONT}`, INK, EDGE, y, INNER, 44, draw) + 18;
  for (const { name, ranked, wrote, outside } of answers) {
    if (answers.length > 1) {
      y = text(pen, name, `600 22px ${FONT}`, SOFT, EDGE, y + 10, INNER, 30, draw) + 6;
    }
    if (outside) y = text(pen, outside, `22px ${FONT}`, SOFT, EDGE, y, INNER, 30, draw) + 8;
    if (wrote) {
      y = text(pen, wrote.answer || "It wrote nothing.", `600 26px ${FONT}`, INK, EDGE, y, INNER, 34, draw) + 4;
      if (wrote.rationale) y = text(pen, wrote.rationale, `26px ${FONT}`, INK, EDGE, y, INNER, 34, draw) + 14;
    }
    for (const { choice, match } of ranked) {
      if (draw) bar(pen, y + 6, match);
      y = text(pen, choice, `26px ${FONT}`, INK, EDGE + 272, y, INNER - 272, 34, draw) + 10;
    }
  }
  const bars = answers.some(({ ranked }) => ranked.length);
  y = text(pen, `${bars ? "Bars: how well each answer matches. " : ""}Made with lskd.`, `18px ${FONT}`, SOFT,
    EDGE, y + 18, INNER, 24, draw);
  return Math.ceil(y + EDGE - 20);
}

function bar(pen, y, match) {
  pen.fillStyle = FIELD;
  pen.fillRect(EDGE, y, 140, 20);
  pen.fillStyle = STRONG;
  pen.fillRect(EDGE, y, 140 * match, 20);
  pen.font = `600 22px ${FONT}`;
  pen.fillStyle = INK;
  pen.textBaseline = "top";
  pen.fillText(percent(match), EDGE + 156, y - 2);
}

// Writes text within a width, breaking lines, and returns where the next line would begin.
function text(pen, words, font, colour, x, y, width, step, draw) {
  pen.font = font;
  pen.fillStyle = colour;
  pen.textBaseline = "top";
  for (const line of lines(pen, words, width)) {
    if (draw) pen.fillText(line, x, y);
    y += step;
  }
  return y;
}

function lines(pen, words, width) {
  const made = [];
  let line = "";
  for (const word of words.split(/\s+/).flatMap((one) => pieces(pen, one, width))) {
    const longer = line ? `${line} ${word}` : word;
    if (line && pen.measureText(longer).width > width) {
      made.push(line);
      line = word;
    } else {
      line = longer;
    }
  }
  return [...made, line];
}

// Cuts a word that is wider than a line, as a script without spaces is.
function pieces(pen, word, width) {
  if (pen.measureText(word).width <= width) return [word];
  const cut = [];
  let piece = "";
  for (const letter of word) {
    if (piece && pen.measureText(piece + letter).width > width) {
      cut.push(piece);
      piece = "";
    }
    piece += letter;
  }
  return [...cut, piece];
}

export function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
