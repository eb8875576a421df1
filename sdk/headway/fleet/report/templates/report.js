// Remembers the reader's language and theme. The page works without it: the switches are radio buttons read by CSS.
(() => {
  const root = document.documentElement;
  const remember = (key, value) => { try { localStorage.setItem(key, value); } catch { /* file: pages may forbid it */ } };
  const recall = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const choose = (name, value) => {
    const input = document.querySelector(`input[name="${name}"][value="${value}"]`);
    if (input) { input.checked = true; }
  };
  const tell = () => { root.lang = document.querySelector('input[name="language"]:checked').value; };
  const hash = location.hash.slice(1);
  const language = ["en", "zh-CN"].includes(hash) ? hash
    : recall("headway.language") || (navigator.language.startsWith("zh") ? "zh-CN" : "en");
  choose("language", language);
  choose("theme", recall("headway.theme") || "auto");
  tell();
  for (const input of document.querySelectorAll(".switches input")) {
    input.addEventListener("change", () => { remember(`headway.${input.name}`, input.value); tell(); });
  }
  const all = document.getElementById("open-all");
  all.hidden = false;
  all.addEventListener("click", () => {
    const stories = [...document.querySelectorAll("details.story")];
    const open = stories.some((story) => !story.open);
    for (const story of stories) { story.open = open; }
  });
})();
