// The first page: begin with a picture, a sentence or an example; below it the stories that are there already.

const home = (() => {
  const file = h("input", { type: "file", accept: "image/*,video/*,.heic,.heif,.avif,.mkv", id: "wn-file", class: "wn-unseen", tabindex: "-1", onchange: () => send(file.files) });
  const choose = h("button.wn-second", { type: "button", onclick: () => file.click() }, "Choose a picture or film");
  const dropText = h("p.wn-drop-text", {}, "Drop a picture or a short film here");
  const drop = h("div.wn-drop", {}, h("span.wn-drop-icon", {}, icon("picture")), dropText, choose, h("p.wn-small", {}, "or paste one. It stays on this computer."), file);
  const words = h("textarea", { id: "wn-first", rows: 3, maxlength: 600, placeholder: "It is day on the meadow. A red egg lies on the left." });
  const beginWords = h("button.wn-first", { type: "button", onclick: () => start() }, "Begin with these words");
  const spell = h("form.wn-spell", { onsubmit: (event) => { event.preventDefault(); start(); } },
    h("label", { for: "wn-first" }, "Or say what can be seen"), words, h("div.wn-row", {}, beginWords, h("span.wn-small", {}, "Ctrl + Enter")));
  const examples = h("ul.wn-examples");
  const exampleBox = h("section.wn-section", { "aria-labelledby": "wn-ex" }, h("h2", { id: "wn-ex" }, "Or begin with one of these"), examples);
  const shelf = h("section.wn-section.wn-shelf", { "aria-labelledby": "wn-shelf" });
  const node = h("div.wn-home", {},
    h("section.wn-hello", {},
      h("h1", {}, "Every picture is the beginning of something."),
      h("p.wn-lead", {}, "Give a first scene. Ask what happens next. It thinks in words, you may change them, and then it draws: scene by scene, a story of your own."),
      h("div.wn-ways", {}, drop, spell)),
    exampleBox, shelf);

  words.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) start();
  });

  function start() {
    const text = words.value.trim();
    if (!text) {
      words.focus();
      return tell({ kind: "info", text: "Write one or two sentences about the first scene, then press the button again." });
    }
    act("begin_words", { words: text }).then((answer) => { if (answer && answer.page === "room") words.value = ""; });
  }

  async function send(list) {
    if (!list || !list.length || busy) return;
    const one = list[0];
    const limit = (view && view.limits && view.limits.upload) || 200 * 1024 * 1024;
    if (one.size > limit) {
      file.value = "";
      return tell({ kind: "error", text: "This file is too large: up to " + Math.round(limit / 1048576) + " MB can be read. A shorter film will do, only its end is looked at." });
    }
    drop.classList.add("wn-sending");
    dropText.textContent = "Bringing it in …";
    announce("Uploading");
    try {
      const kept = await upload(one);
      await act("begin_upload", { path: kept.path, name: one.name });
    } catch (error) {
      tell({ kind: "error", text: "This file could not be brought in. Nothing has changed; please try it again or choose another one." });
    }
    file.value = "";
    drop.classList.remove("wn-sending");
    dropText.textContent = "Drop a picture or a short film here";
  }

  for (const name of ["dragenter", "dragover"]) {
    root.addEventListener(name, (event) => {
      if (main.dataset.part !== "home") return;
      event.preventDefault();
      drop.classList.add("wn-over");
    });
  }
  root.addEventListener("dragleave", (event) => { if (!root.contains(event.relatedTarget)) drop.classList.remove("wn-over"); });
  root.addEventListener("drop", (event) => {
    if (main.dataset.part !== "home") return;
    event.preventDefault();
    drop.classList.remove("wn-over");
    send(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    if (main.dataset.part === "home" && event.clipboardData && event.clipboardData.files.length) send(event.clipboardData.files);
  });

  let exampleKey = "";
  function draw(now) {
    const key = JSON.stringify(now.examples);
    if (key !== exampleKey) {
      exampleKey = key;
      exampleBox.hidden = !now.examples.length;
      examples.replaceChildren(...now.examples.map((one) =>
        h("li", {}, h("button.wn-example", { type: "button", onclick: () => act("begin_example", { name: one.name }) },
          one.image ? h("img", { src: "/example/" + encodeURIComponent(one.image), alt: "", loading: "lazy" }) : h("span.wn-blank", {}),
          h("strong", {}, one.title), h("span", {}, one.words)))));
    }
    stories.draw(shelf, now);
  }

  return { node, draw };
})();
