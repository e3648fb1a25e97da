// Counts the time to pay down. Without it the page still reloads itself when the time is over.
const place = document.querySelector("[data-countdown]");
if (place) {
  const end = performance.now() + Number(place.dataset.countdown) * 1000;
  const two = (number) => String(number).padStart(2, "0");
  const tick = () => {
    const left = Math.max(0, Math.round((end - performance.now()) / 1000));
    const parts = [Math.floor(left / 60) % 60, left % 60];
    if (left >= 3600) parts.unshift(Math.floor(left / 3600));
    place.textContent = parts.map(two).join(":");
    place.classList.toggle("soon", left < 60);
  };
  tick();
  setInterval(tick, 500);
}
