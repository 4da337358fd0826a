// A picture by this device's camera: shoot() gives a file, or null. Where a page may not see the camera (no secure
// connection), a phone's own camera is asked through a file field.

ICONS.camera = "M4 8.500A1.500 1.500 0 0 1 5.500 7H8l1.400-2h5.200L16 7h2.500A1.500 1.500 0 0 1 20 8.500v9a1.500 1.500 0 0 1-1.500 1.500h-13A1.500 1.500 0 0 1 4 17.500zM12 16.200a3.400 3.400 0 1 0 0-6.800 3.400 3.400 0 0 0 0 6.800z";

const camera = (() => {
  const LONGEST = 1920; // of the picture's sides; no model looks more closely
  const video = h("video.wn-camera-view", { playsinline: "", autoplay: "", "aria-label": T("begin.camera_view") });
  video.muted = true;
  const shot = h("canvas.wn-camera-view", { hidden: true, role: "img", "aria-label": T("begin.camera_shot") });
  const shutter = h("button.wn-shutter", { type: "button", "aria-label": T("begin.camera_press"), title: T("begin.camera_press"), onclick: () => press() });
  const turn = h("button.wn-quiet", { type: "button", hidden: true, onclick: () => other() }, icon("again"), h("span", {}, T("begin.camera_turn")));
  const take = h("button.wn-first", { type: "button", onclick: () => use() }, T("begin.camera_use"));
  const again = h("button.wn-second", { type: "button", onclick: () => live() }, T("begin.camera_again"));
  const close = () => h("button.wn-quiet", { type: "button", onclick: () => done(null) }, T("begin.camera_close"));
  const before = h("div.wn-camera-row", {}, close(), shutter, turn);
  const after = h("div.wn-row.wn-sheet-row", { hidden: true }, take, again, close());
  const node = h("dialog.wn-sheet.wn-camera", { "aria-labelledby": "wn-camera-title" },
    h("h2", { id: "wn-camera-title" }, T("begin.camera")), h("div.wn-camera-screen", {}, video, shot), before, after);
  const field = h("input.wn-unseen", { type: "file", accept: "image/*", capture: "environment", tabindex: "-1", "aria-hidden": "true" });
  let stream = null;
  let facing = "environment";
  let answer = null;

  node.addEventListener("close", () => done(null));
  node.addEventListener("keydown", (event) => event.stopPropagation());
  root.append(node, field);

  async function shoot() {
    if (!navigator.mediaDevices || !navigator.mediaDevices.getUserMedia) return askPhone();
    try {
      await start();
    } catch (error) {
      const why = { NotAllowedError: "begin.camera_denied", SecurityError: "begin.camera_denied", NotFoundError: "begin.camera_none", OverconstrainedError: "begin.camera_none" };
      tell({ kind: "error", text: T(why[error.name] || "begin.camera_busy") });
      return null;
    }
    live();
    node.showModal();
    shutter.focus();
    return new Promise((resolve) => { answer = resolve; });
  }

  async function start() {
    stop();
    const size = { width: { ideal: LONGEST }, height: { ideal: 1080 } };
    stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { facingMode: { ideal: facing }, ...size } });
    video.srcObject = stream;
    video.classList.toggle("wn-mirror", facing === "user");
    const devices = await navigator.mediaDevices.enumerateDevices();
    turn.hidden = devices.filter((one) => one.kind === "videoinput").length < 2;
  }

  function stop() {
    if (stream) for (const one of stream.getTracks()) one.stop();
    stream = null;
    video.srcObject = null;
  }

  async function other() {
    facing = facing === "user" ? "environment" : "user";
    try {
      await start();
    } catch (error) {
      tell({ kind: "error", text: T("begin.camera_busy") });
      done(null);
    }
  }

  function live() {
    shot.hidden = after.hidden = true;
    video.hidden = before.hidden = false;
    video.play().catch(() => {});
    shutter.focus();
  }

  function press() {
    if (!video.videoWidth) return; // not one picture has come yet
    const scale = Math.min(1, LONGEST / Math.max(video.videoWidth, video.videoHeight));
    shot.width = Math.round(video.videoWidth * scale);
    shot.height = Math.round(video.videoHeight * scale);
    shot.getContext("2d").drawImage(video, 0, 0, shot.width, shot.height);
    shot.hidden = after.hidden = false;
    video.hidden = before.hidden = true;
    announce(T("begin.camera_taken"));
    take.focus();
  }

  function use() {
    shot.toBlob((blob) => done(blob && new File([blob], "camera.jpg", { type: "image/jpeg" })), "image/jpeg", 0.93);
  }

  function done(file) {
    stop();
    if (node.open) node.close();
    const resolve = answer;
    answer = null;
    if (resolve) resolve(file);
  }

  function askPhone() {
    return new Promise((resolve) => {
      field.value = "";
      field.onchange = () => resolve(field.files[0] || null);
      field.addEventListener("cancel", () => resolve(null), { once: true });
      field.click();
    });
  }

  return { shoot };
})();
