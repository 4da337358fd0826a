"use strict";
// Plays the story and asks what happens next. Everything that a person wrote is set as text, never as markup.
(() => {
  const at = (id) => document.getElementById(id);
  const { scenes, roots, texts } = JSON.parse(at("story").textContent);
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const video = at("clip");
  const captions = video.addTextTrack("captions", texts.next, document.documentElement.lang);
  const path = []; // the numbers of the scenes so far
  let started = false; // a browser plays nothing before the person has pressed something

  const button = (text, go) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", go);
    return made;
  };

  const choose = (number) => {
    started = true;
    path.push(number);
    show();
  };

  function offer(numbers, ask, label) {
    at("ask").textContent = ask;
    at("choices").replaceChildren(...numbers.map((number) => button(label(number), () => choose(number))));
  }

  function caption(words) {
    for (const cue of [...(captions.cues || [])]) captions.removeCue(cue);
    captions.addCue(new VTTCue(0, Math.max(video.duration || 0, 1), words));
  }

  function play(scene) {
    const clip = scene.clip === null ? null : at(`clip-${scene.clip}`);
    at("screen").hidden = false;
    video.hidden = clip === null;
    at("without").hidden = clip !== null;
    at("without").textContent = texts.no_clip;
    video.pause();
    if (clip === null) {
      video.removeAttribute("src");
      return;
    }
    video.onloadedmetadata = () => caption(scene.words);
    video.src = `data:${clip.dataset.kind};base64,${clip.textContent}`;
    if (started && !still.matches) video.play().catch(() => {}); // refused: the controls are there
  }

  function show() {
    const scene = scenes[path[path.length - 1]];
    at("back").hidden = at("again").hidden = !path.length;
    if (!scene) {
      at("screen").hidden = true;
      video.pause();
      at("where").textContent = at("words").textContent = "";
      const alone = roots.length === 1;
      offer(roots, alone ? "" : texts.where, (number) => (alone ? texts.begin : scenes[number].words));
    } else {
      play(scene);
      at("where").textContent = texts.scene.replace("{n}", String(path.length));
      at("words").textContent = scene.words;
      const alone = scene.next.length === 1;
      const ask = scene.next.length ? (alone ? "" : texts.next) : texts.end;
      offer(scene.next, ask, (number) => (alone ? texts.go_on : scenes[number].words));
    }
    (at("choices").querySelector("button") || at("again")).focus({ preventScroll: true });
  }

  // a story that goes one way only goes on by itself, unless the person wants things to keep still
  video.addEventListener("ended", () => {
    const { next } = scenes[path[path.length - 1]];
    if (next.length === 1 && !still.matches) choose(next[0]);
  });

  at("back").textContent = texts.back;
  at("back").addEventListener("click", () => {
    path.pop();
    show();
  });
  at("again").textContent = texts.again;
  at("again").addEventListener("click", () => {
    path.length = 0;
    show();
  });

  // 1 to 9 choose, unless a key means something else there
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target === video) return;
    const wanted = at("choices").children[Number(event.key) - 1];
    if (/^[1-9]$/.test(event.key) && wanted) wanted.click();
  });

  show();
})();
