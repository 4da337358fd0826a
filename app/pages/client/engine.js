// What has to be said plainly about the model: that another one stands in, or that none can be loaded; and the way back.

const engineNote = (() => {
  const text = h("p");
  const again = h("button.wn-second", { type: "button", onclick: () => act("engine_again") });
  const node = h("div.wn-engine-note", { role: "status", hidden: true }, text, again,
    h("button.wn-x", { type: "button", "aria-label": T("engine.hide"), onclick: () => { hidden = text.textContent; node.hidden = true; } }, "×"));
  let hidden = "";
  toast.after(node);

  function draw(now) {
    const note = now.engine.note || "";
    node.hidden = !note || note === hidden;
    if (text.textContent !== note) text.textContent = note;
    node.dataset.state = now.engine.state;
    again.hidden = !now.engine.again;
    again.textContent = now.engine.again;
  }
  return { draw };
})();
