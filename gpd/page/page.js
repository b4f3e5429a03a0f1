// Clips of one page run in step: whenever the first begins anew, the others do.
const videos = [...document.querySelectorAll("video")];
const leader = videos[0];
if (leader) {
  leader.loop = false;
  leader.addEventListener("ended", () => {
    for (const video of videos) { video.currentTime = 0; video.play().catch(() => {}); }
  });
  for (const video of videos) video.play().catch(() => {});
  document.addEventListener("click", (event) => {
    if (event.target.tagName !== "VIDEO") return;
    const isPaused = leader.paused;
    for (const video of videos) isPaused ? video.play().catch(() => {}) : video.pause();
  });
}
