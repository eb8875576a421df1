// Remembers language and theme. Without it the page works: the switches are radio buttons that CSS reads.
(() => {
  const kept = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const keep = (key, value) => { try { localStorage.setItem(key, value); } catch { /* a file page may not */ } };
  const inputs = [...document.querySelectorAll(".switches input")];
  const choose = (name, value) => inputs.forEach((input) => { if (input.name === name && input.value === value) { input.checked = true; } });
  const tell = () => { document.documentElement.lang = inputs.find((input) => input.name === "language" && input.checked).value; };
  const asked = ["en", "zh-CN"].find((code) => location.hash === `#${code}`);
  choose("language", asked ?? kept("headway.language") ?? (navigator.language.startsWith("zh") ? "zh-CN" : "en"));
  choose("theme", kept("headway.theme") ?? "auto");
  tell();
  inputs.forEach((input) => input.addEventListener("change", () => { keep(`headway.${input.name}`, input.value); tell(); }));
})();
