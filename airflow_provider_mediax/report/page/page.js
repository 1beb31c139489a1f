"use strict";

for (const element of document.querySelectorAll(".scripted")) element.hidden = false;

// The time line follows the sound that was started last, and moves it.
const line = document.getElementById("line");
const sounds = [...document.querySelectorAll("audio")];
let playing = sounds[0];

function follow() {
  const seconds = Number(line.dataset.seconds);
  const at = playing ? playing.currentTime : 0;
  document.getElementById("head").setAttribute("transform", `translate(${Math.min(1, at / seconds) * 1000})`);
  line.parentElement.setAttribute("aria-valuenow", at.toFixed(1));
  for (const item of document.querySelectorAll(".lyrics li")) {
    item.classList.toggle("now", at >= Number(item.dataset.start) && at < Number(item.dataset.end));
  }
}

function move(seconds) {
  if (!playing) return;
  playing.currentTime = Math.max(0, Math.min(seconds, playing.duration || Number(line.dataset.seconds)));
  follow();
}

function toggle() {
  if (!playing) return;
  if (playing.paused) playing.play(); else playing.pause();
}

function frames() {
  follow();
  if (playing && !playing.paused) requestAnimationFrame(frames);
}

for (const sound of sounds) {
  sound.addEventListener("play", () => {
    const before = playing;
    playing = sound;
    for (const other of sounds) if (other !== sound) other.pause();
    // A change from the track to a stem goes on at the same place.
    if (before !== sound && sound.currentTime === 0) sound.currentTime = before.currentTime;
    if (line) frames();
  });
  if (line) sound.addEventListener("seeked", follow);
}

if (line && sounds.length) {
  const slider = line.parentElement;
  slider.setAttribute("role", "slider");
  slider.setAttribute("aria-valuemin", "0");
  slider.setAttribute("aria-valuemax", line.dataset.seconds);
  line.addEventListener("click", event => {
    const box = line.getBoundingClientRect();
    move((event.clientX - box.left) / box.width * Number(line.dataset.seconds));
  });
  const keys = {
    ArrowLeft: () => move(playing.currentTime - 5),
    ArrowRight: () => move(playing.currentTime + 5),
    Home: () => move(0),
    End: () => move(Infinity),
    " ": toggle,
  };
  slider.addEventListener("keydown", event => {
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  for (const item of document.querySelectorAll(".lyrics li")) {
    item.tabIndex = 0;
    item.setAttribute("role", "button");
    const go = () => move(Number(item.dataset.start));
    item.addEventListener("click", go);
    item.addEventListener("keydown", event => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      go();
    });
  }
  follow();
}

// The table sorts by a column and shows the rows that have some words.
const table = document.getElementById("table");

function sort(column, header) {
  const down = header.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = row => row.cells[column].textContent;
  const numeric = header.dataset.numeric === "yes";
  const compare = new Intl.Collator(undefined, { numeric: true }).compare;
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, two) => {
    const [left, right] = [value(one), value(two)];
    if ((left === "") !== (right === "")) return left === "" ? 1 : -1;
    const order = numeric ? Number(left) - Number(right) : compare(left, right);
    return down ? -order : order;
  });
  table.tBodies[0].append(...rows);
}

function filter(words) {
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    row.hidden = !row.textContent.toLowerCase().includes(words.toLowerCase());
    if (!row.hidden) shown += 1;
  }
  document.getElementById("shown").textContent = words ? `${shown} of ${table.tBodies[0].rows.length}` : "";
}

if (table) {
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent;
    const first = table.tBodies[0].rows[0];
    if (first && first.cells[column].className === "number") header.dataset.numeric = "yes";
    header.replaceChildren(button);
    button.addEventListener("click", () => sort(column, header));
  });
  const input = document.getElementById("filter");
  input.addEventListener("input", () => filter(input.value));
}
