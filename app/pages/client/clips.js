// The clips of a lesson: what is seen, what is said of it, and whether it is learnt from. Every change is kept at once.

const clipList = (() => {
  function moving(address, label) {
    const video = h("video", { src: address, loop: true, playsinline: true, preload: "metadata", controls: calm.matches, "aria-label": label });
    video.muted = true; // a browser plays nothing by itself that makes a sound
    video.autoplay = !calm.matches;
    return video;
  }

  // A still that moves when it is pressed.
  function picture(one) {
    if (!one.still && !one.clip) return h("span.wn-blank");
    const still = one.still ? h("img", { src: one.still, alt: "", loading: "lazy" }) : moving(one.clip);
    if (!one.clip || !one.still) return h("span.wn-clip-picture", {}, still);
    const box = h("button.wn-clip-picture", { type: "button", "aria-label": T("teach.play", { name: one.source }), "data-key": "play:" + one.id,
      onclick: () => box.replaceChildren(...(box.querySelector("video") ? [still, sign] : [playing()])) });
    const sign = h("span.wn-clip-sign", { "aria-hidden": "true" }, icon("play"));
    const playing = () => { const video = moving(one.clip); video.play().catch(() => {}); return video; };
    box.append(still, sign);
    return box;
  }

  function row(one, does, editable) {
    const id = "wn-clip-" + one.id.replace(/\W/g, "-");
    const words = h("textarea", { id, rows: 2, maxlength: 600, value: one.caption, disabled: !editable || !one.keep || !one.there, "data-key": "words:" + one.id, placeholder: T("teach.no_caption"),
      onblur: () => { if (words.value.trim() !== one.caption) does({ id: one.id, caption: words.value.trim() }); } }); // not "change": the list may be drawn anew under somebody's typing
    const facts = [one.seconds ? T("machine.seconds", { n: one.seconds }) : T("teach.picture"), one.held_out ? T("teach.held_out") : "", one.by].filter(Boolean);
    return h("li.wn-clip", { "data-keep": one.keep ? "yes" : "no" }, picture(one),
      h("div.wn-clip-words", {},
        h("label.wn-small", { for: id }, given(one.source)), words,
        h("p.wn-small", {}, facts.join(" · ")),
        one.reason && !one.keep ? h("p.wn-small.wn-clip-reason", {}, one.reason) : null,
        editable && one.there ? h("button.wn-link", { type: "button", "data-key": "keep:" + one.id, "aria-label": T(one.keep ? "teach.remove_of" : "teach.back_of", { name: one.source }), onclick: () => does({ id: one.id, keep: !one.keep }) }, T(one.keep ? "teach.remove" : "teach.back")) : null));
  }

  // Who is in it: two fields a line, one empty line at the end.
  function names(known, does, editable) {
    const box = h("div.wn-names");
    const field = (value, label, key, limit) => h("input", { type: "text", value, maxlength: limit, "aria-label": label, placeholder: label, "data-key": key, disabled: !editable, onblur: keep });
    function keep() {
      const all = [...box.querySelectorAll(".wn-name")].map((line) => ({ who: line.children[0].value.trim(), is: line.children[1].value.trim() }));
      const said = all.filter((one) => one.who);
      if (JSON.stringify(said) !== JSON.stringify(known)) does(said);
    }
    const lines = editable ? [...known, { who: "", is: "" }] : known;
    box.append(...lines.map((one, at) => h("div.wn-name", {}, field(one.who, T("teach.who"), "who:" + at, 60), field(one.is, T("teach.is"), "is:" + at, 120))));
    return box;
  }

  return { row, names, moving };
})();
