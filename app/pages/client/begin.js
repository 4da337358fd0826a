// The first page: begin with a picture, a sentence or an example; below it the stories that are there already.

// An egg, a crack, a chick, and a page that nobody has drawn yet.
const HELLO = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 470 230" fill="none">
<g stroke="#e2d4bb" stroke-width="2">
<g transform="rotate(-5 90 120)"><rect x="22" y="52" width="132" height="132" rx="12" fill="#fffdf8"/><clipPath id="a"><rect x="31" y="61" width="114" height="86" rx="7"/></clipPath>
<g clip-path="url(#a)" stroke="none"><path fill="#cfe6ef" d="M31 61h114v86H31z"/><circle cx="120" cy="82" r="11" fill="#f0b13c"/><path fill="#a9cc95" d="M20 126c40-16 90-14 140 2v40H20z"/><path fill="#a4713f" d="M58 128h60c0 14-12 20-30 20s-30-6-30-20z"/><path fill="#fbf3e2" d="M88 88c13 0 20 18 20 29 0 8-8 14-20 14s-20-6-20-14c0-11 7-29 20-29z"/></g></g>
<g transform="rotate(3 210 110)"><rect x="150" y="38" width="132" height="132" rx="12" fill="#fffdf8"/><clipPath id="b"><rect x="159" y="47" width="114" height="86" rx="7"/></clipPath>
<g clip-path="url(#b)" stroke="none"><path fill="#cfe6ef" d="M159 47h114v86H159z"/><circle cx="246" cy="66" r="11" fill="#f0b13c"/><path fill="#a9cc95" d="M148 112c40-16 90-14 140 2v40H148z"/><path fill="#a4713f" d="M186 114h60c0 14-12 20-30 20s-30-6-30-20z"/><path fill="#fbf3e2" d="M216 74c13 0 20 18 20 29 0 8-8 14-20 14s-20-6-20-14c0-11 7-29 20-29z"/><path d="m198 98 8-7 6 8 7-9 7 8 8-6" stroke="#6a5b4a" stroke-width="2.400" stroke-linecap="round" stroke-linejoin="round"/></g></g>
<g transform="rotate(-2 340 120)"><rect x="276" y="54" width="132" height="132" rx="12" fill="#fffdf8"/><clipPath id="c"><rect x="285" y="63" width="114" height="86" rx="7"/></clipPath>
<g clip-path="url(#c)" stroke="none"><path fill="#cfe6ef" d="M285 63h114v86H285z"/><circle cx="374" cy="82" r="11" fill="#f0b13c"/><path fill="#a9cc95" d="M274 128c40-16 90-14 140 2v40H274z"/><path fill="#a4713f" d="M312 130h60c0 14-12 20-30 20s-30-6-30-20z"/><circle cx="342" cy="112" r="22" fill="#f7cf5e"/><circle cx="335" cy="106" r="3" fill="#33291f"/><circle cx="350" cy="106" r="3" fill="#33291f"/><path fill="#d9752f" d="m338 113 5 7 5-7z"/><path fill="#fbf3e2" d="m320 122 7-7 6 8 8-9 8 9 7-8 7 7c0 9-10 14-22 14s-21-5-21-14z"/></g></g>
</g>
<path d="M428 96c0-13 9-20 18-20 11 0 18 7 18 16 0 14-17 13-17 28" stroke="#b4451c" stroke-width="7" stroke-linecap="round"/><circle cx="447" cy="138" r="5" fill="#b4451c"/>
</svg>`;

const home = (() => {
  const file = h("input", { type: "file", accept: "image/*,video/*,.heic,.heif,.avif,.mkv", id: "wn-file", class: "wn-unseen", tabindex: "-1", "aria-label": T("begin.choose"), onchange: () => send(file.files) });
  const choose = h("button.wn-second", { type: "button", onclick: () => { getReady(); file.click(); } }, T("begin.choose"));
  const picture = h("button.wn-second", { type: "button", onclick: () => photograph() }, icon("camera"), T("begin.camera"));
  const dropText = h("p.wn-drop-text", {}, T("begin.drop"));
  const drop = h("div.wn-drop", {}, h("span.wn-drop-icon", {}, icon("picture")), dropText, h("div.wn-drop-buttons", {}, choose, picture), h("p.wn-small", {}, T("begin.paste")), file);
  const words = h("textarea", { id: "wn-first", rows: 3, maxlength: 600, placeholder: T("begin.like_this") });
  const beginWords = h("button.wn-first", { type: "button", onclick: () => start() }, T("begin.with_words"));
  const spell = h("form.wn-spell", { onsubmit: (event) => { event.preventDefault(); start(); } },
    h("label", { for: "wn-first" }, T("begin.say")), words, h("div.wn-row", {}, beginWords, h("span.wn-small", {}, T("begin.ctrl_enter"))));
  const headline = h("h1");
  const examples = h("ul.wn-examples");
  const exampleBox = h("section.wn-section", { "aria-labelledby": "wn-ex" }, h("h2", { id: "wn-ex" }, T("begin.examples")), examples);
  const shelf = h("section.wn-section.wn-shelf", { "aria-labelledby": "wn-shelf" });
  const node = h("div.wn-home", {},
    h("section.wn-hello", {},
      h("div.wn-hello-top", {},
        h("div", {}, headline,
          h("p.wn-lead", {}, T("begin.lead"))),
        h("img", { src: "data:image/svg+xml," + encodeURIComponent(HELLO), alt: "" })),
      h("div.wn-ways", {}, drop, spell)),
    exampleBox, shelf);

  words.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) start();
  });

  function start() {
    const text = words.value.trim();
    if (!text) {
      words.focus();
      return tell({ kind: "info", text: T("begin.no_words") });
    }
    act("begin_words", { words: text }).then((answer) => { if (answer && answer.page === "room") words.value = ""; });
  }

  // Whoever reads files on the server gets up before the file comes.
  let readied = 0;
  function getReady() {
    if (Date.now() - readied < 120000) return;
    readied = Date.now();
    server.ask({ ask: "get_ready" }).catch(() => {});
  }

  async function photograph() {
    getReady();
    const taken = await camera.shoot();
    if (taken) send([taken]);
    else picture.focus();
  }

  let sending = false;
  async function send(list) {
    if (!list || !list.length || busy || sending) return;
    const one = list[0];
    const limit = (view && view.limits && view.limits.upload) || 200 * 1024 * 1024;
    if (one.size > limit) {
      file.value = "";
      return tell({ kind: "error", text: T("begin.too_large", { mb: Math.round(limit / 1048576) }) });
    }
    sending = true;
    drop.classList.add("wn-sending");
    dropText.textContent = T("begin.bringing");
    announce(T("begin.bringing"));
    try {
      await bring(one);
    } catch (error) {
      tell({ kind: "error", text: T(/429/.test(String(error && error.message)) ? "begin.too_many" : "begin.not_brought") });
    }
    sending = false;
    file.value = "";
    drop.classList.remove("wn-sending");
    dropText.textContent = T("begin.drop");
  }

  // Upload it, see what it is, pick a part of a long film, begin. Why a file cannot be read is said by `ask`.
  async function bring(one) {
    if (!one.size) return tell({ kind: "error", text: T("begin.empty", { name: one.name }) });
    const kept = await upload(one);
    const given = { path: kept.path, name: one.name };
    const found = await ask("brought", given);
    if (!found) return;
    if (found.part) {
      given.start = await partPicker.pick(found.part, one, kept.path);
      if (given.start === null) {
        ask("leave_it", given);
        choose.focus();
        return;
      }
    }
    await act("begin_upload", given);
  }

  for (const name of ["dragenter", "dragover"]) {
    root.addEventListener(name, (event) => {
      if (main.dataset.part !== "home") return;
      event.preventDefault();
      drop.classList.add("wn-over");
      getReady();
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
    const returning = now.stories.length > 0;
    headline.textContent = T(returning ? "begin.hello_again" : "begin.hello");
    if (node.classList.toggle("wn-returning", returning) !== (shelf.nextSibling === exampleBox)) {
      node.append(...(returning ? [shelf, exampleBox] : [exampleBox, shelf]));
    }
  }

  return { node, draw };
})();
