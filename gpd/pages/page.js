// The videos of each group run in step: the first leads, the others follow; bar, buttons, keys and clicks steer all.
for (const group of document.querySelectorAll(".players")) inStep(group);

function inStep(group) {
  const videos = [...group.querySelectorAll("video")];
  if (!videos.length) return;
  const [leader, ...followers] = videos;
  const at = (selector) => group.querySelector(selector);
  const button = at("[data-do=play]"), bar = at("input"), words = at("output"), speed = at("select");
  const rate = Number(group.dataset.rate), last = Number(group.dataset.frames) - 1;
  let isPlaying = false;

  const frame = () => Math.max(0, Math.min(last, Math.floor(leader.currentTime * rate + 1e-3)));
  const show = (number) => {
    bar.value = number;
    words.value = `${number + 1} / ${last + 1}`;
    button.textContent = isPlaying ? "❚❚" : "▶";
  };
  const start = () => { for (const video of videos) video.play().catch(() => {}); };
  const goTo = (number) => {
    const chosen = Math.max(0, Math.min(last, number));
    for (const video of videos) video.currentTime = (chosen + 0.5) / rate;  // the middle: not the border of two frames
    show(chosen);
  };
  const stop = () => {
    isPlaying = false;
    for (const video of videos) video.pause();
    goTo(frame());
  };
  const play = () => {
    if (frame() === last) for (const video of videos) video.currentTime = 0;
    isPlaying = true;
    start();
    follow();
  };
  const toggle = () => (isPlaying ? stop() : play());
  const step = (by) => { const from = frame(); if (isPlaying) stop(); goTo(from + by); };

  function follow() {
    if (!isPlaying || !group.isConnected) return;
    for (const video of followers) {
      if (Math.abs(video.currentTime - leader.currentTime) > 1 / rate) video.currentTime = leader.currentTime;
    }
    show(frame());
    requestAnimationFrame(follow);
  }

  const deeds = { play: toggle, back: () => step(-1), on: () => step(1) };
  const keys = { " ": toggle, k: toggle, ArrowLeft: deeds.back, ArrowRight: deeds.on,
                 Home: () => step(-last - 1), End: () => step(last + 1) };

  for (const video of videos) video.loop = false;
  leader.addEventListener("ended", () => {
    if (!isPlaying) return;
    for (const video of videos) video.currentTime = 0;
    start();
  });
  group.addEventListener("click", (event) => {
    const deed = deeds[event.target.dataset.do];
    if (deed) deed();
    if (event.target.tagName !== "VIDEO") return;
    group.focus({ preventScroll: true });
    toggle();
  });
  group.addEventListener("keydown", (event) => {
    const isOwn = { BUTTON: [" "], INPUT: ["ArrowLeft", "ArrowRight", "Home", "End"], SELECT: Object.keys(keys) };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isOwn[event.target.tagName]?.includes(event.key)) return;  // a control's own key
    event.preventDefault();
    keys[event.key]();
  });
  bar.addEventListener("input", () => { const to = Number(bar.value); if (isPlaying) stop(); goTo(to); });
  speed.addEventListener("change", () => { for (const video of videos) video.playbackRate = Number(speed.value); });

  at(".controls").hidden = false;
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) stop(); else play();
}
