"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const sheet = JSON.parse(find("sheet").textContent);
  const questions = [...document.querySelectorAll(".question")];
  const names = questions.map((element) => element.dataset.question);
  const store = "zoetrope-preference-" + sheet.sheet;
  const players = ["left", "right", "driving"].map(find);
  let current = 0;
  let state = load();

  function fresh() {
    const bytes = crypto.getRandomValues(new Uint8Array(8));
    const judge = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return { judge, name: "", at: 0, answers: {} };
  }

  function load() {
    try {
      const kept = JSON.parse(localStorage.getItem(store));
      if (kept && typeof kept.judge === "string" && kept.at < sheet.pairs.length) return kept;
    } catch (error) { /* storage is denied, or its content is foreign */ }
    return fresh();
  }

  function keep() {
    try {
      localStorage.setItem(store, JSON.stringify(state));
      find("kept").textContent = ", kept in this browser";
    } catch (error) {
      find("kept").textContent = ", not kept by this browser: save before you close the page";
    }
  }

  const answers = () => state.answers[state.at + 1] || {};
  const isDone = (number) => names.every((name) => (state.answers[number] || {})[name]);

  function refresh() {
    const given = answers();
    questions.forEach((element, index) => {
      element.classList.toggle("current", index === current);
      for (const button of element.querySelectorAll("button")) {
        button.setAttribute("aria-checked", String(given[names[index]] === button.dataset.answer));
      }
    });
    const done = sheet.pairs.filter((_, index) => isDone(index + 1)).length;
    find("number").textContent = state.at + 1;
    find("done").textContent = done;
    find("progress").value = done;
    find("previous").disabled = state.at === 0;
    find("next").disabled = state.at === sheet.pairs.length - 1;
  }

  function show(at) {
    state.at = Math.min(Math.max(at, 0), sheet.pairs.length - 1);
    const pair = sheet.pairs[state.at];
    for (const name of ["left", "right", "driving"]) {
      if (pair[name]) find(name).src = "data:video/mp4;base64," + pair[name];
      else find(name).removeAttribute("src");
    }
    if (pair.reference) find("reference").src = "data:image/webp;base64," + pair.reference;
    find("reference-figure").hidden = !pair.reference;
    find("driving-figure").hidden = !pair.driving;
    const open = names.findIndex((name) => !answers()[name]);
    current = open < 0 ? 0 : open;
    refresh();
    keep();
    restart();
  }

  const active = () => players.filter((player) => player.getAttribute("src"));

  function play() {
    for (const player of active()) player.play().catch(() => {});
    find("play").textContent = "Pause";
  }

  function restart() {
    for (const player of active()) player.currentTime = 0;
    play();
  }

  function toggle() {
    if (find("play").textContent === "Play") { play(); return; }
    for (const player of active()) player.pause();
    find("play").textContent = "Play";
  }

  function answer(index, value) {
    state.answers[state.at + 1] = { ...answers(), [names[index]]: value };
    const open = names.findIndex((name) => !answers()[name]);
    current = open < 0 ? index : open;
    refresh();
    keep();
  }

  function save() {
    const choices = Object.keys(state.answers).map(Number).sort((a, b) => a - b)
      .map((pair) => ({ pair, ...state.answers[pair] }));
    const content = { zoetrope: sheet.kind, sheet: sheet.sheet, judge: state.judge, name: state.name, choices };
    const address = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1) + "\n"], { type: "application/json" }));
    const link = document.createElement("a");
    link.href = address;
    link.download = "choices-" + state.judge + ".json";
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  function clear() {
    if (!confirm("Start with no choices, as another judge?")) return;
    state = fresh();
    find("name").value = "";
    show(0);
  }

  // A button clicked with the mouse gives up the focus, so that Enter and Space are keys of the page again.
  document.addEventListener("click", (event) => { if (event.detail > 0) event.target.closest("button")?.blur(); });
  // All start again together, once the longest has ended.
  for (const player of players) {
    player.addEventListener("ended", () => { if (active().every((other) => other.ended)) restart(); });
  }
  questions.forEach((element, index) => {
    for (const button of element.querySelectorAll("button")) {
      button.addEventListener("click", () => answer(index, button.dataset.answer));
    }
  });
  find("previous").addEventListener("click", () => show(state.at - 1));
  find("next").addEventListener("click", () => show(state.at + 1));
  find("play").addEventListener("click", toggle);
  find("again").addEventListener("click", restart);
  find("save").addEventListener("click", save);
  find("clear").addEventListener("click", clear);
  find("name").value = state.name;
  find("name").addEventListener("input", () => { state.name = find("name").value; keep(); });

  const keys = {
    ArrowLeft: () => answer(current, "left"),
    ArrowDown: () => answer(current, "equal"),
    ArrowRight: () => answer(current, "right"),
    Enter: () => show(state.at + 1),
    Backspace: () => show(state.at - 1),
    " ": toggle,
    r: restart,
    s: save,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, summary")) return;
    if (event.target.matches("button") && (event.key === "Enter" || event.key === " ")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const question = Number(key) - 1;
    if (question in names) { current = question; refresh(); }
    else if (Object.hasOwn(keys, key)) keys[key]();
    else return;
    event.preventDefault();
  });
  show(state.at);
})();
