// What Gradio's components leave out: names for their buttons, keys, and copies without Markdown's marks.
() => {
  const find = (what, where = document) => where.querySelector(what);
  const all = (what) => document.querySelectorAll(what);
  const set = (what, name, value) => all(what).forEach((one) => {
    if (one.getAttribute(name) !== value) one.setAttribute(name, value);
  });

  // A message is edited as it was written, without the marks that agents/chat/markdown.py sets.
  const entities = { lt: "<", gt: ">", "#91": "[", "#93": "]", "#92": "\\" };
  const plain = (markdown) => markdown.replaceAll("\u00a0", " ").replace(
    /\\([!-\/:-@[-`{-~])|&(lt|gt|#91|#93|#92);/g, (_, mark, entity) => mark ?? entities[entity]);

  const label = () => {
    set("#box .submit-button", "aria-label", "Send");
    set("#box .stop-button", "aria-label", "Stop");
    set("#settings .toggle-button", "aria-label", "Settings");
    set("#settings .toggle-button", "aria-expanded", String(!!find("#settings.open")));
    set("#chat button[title=Clear]", "title", "New chat");
    set("#chat button[aria-label=Clear]", "aria-label", "New chat");
    set("#said", "role", "status");
    // Every word of a run would be read out; #said tells of its steps and its end.
    set("#chat [role=log]", "aria-live", "off");
    // The card's title is the button; the arrow in it is a picture.
    set("#chat .thought-group .title .icon-button", "aria-hidden", "true");
    set("#chat .thought-group .title .icon-button", "tabindex", "-1");
    all("#chat .thought-group > .title").forEach((title) => {
      const open = String(!!title.nextElementSibling);
      if (title.getAttribute("aria-expanded") !== open) title.setAttribute("aria-expanded", open);
      const busy = String(!!find(".loading-spinner", title));
      if (title.getAttribute("aria-busy") !== busy) title.setAttribute("aria-busy", busy);
    });
    // Gradio leaves an emptied box as high as its text was.
    const box = find("#box textarea");
    if (box && !box.value && box.style.height) box.style.height = "";
    all("#chat pre").forEach((pre) => { pre.tabIndex = 0; });
    all("#chat textarea:not([data-plain])").forEach((edited) => {
      edited.dataset.plain = "";
      edited.setAttribute("aria-label", "Your question");
      edited.value = plain(edited.value);
      edited.dispatchEvent(new Event("input", { bubbles: true }));
    });
  };
  label();
  new MutationObserver(label).observe(document.body, { childList: true, subtree: true, attributeFilter: ["class"] });

  document.addEventListener("keydown", (event) => {
    const stop = find("#box .stop-button") ?? [find("#withdraw")].find((one) => one?.checkVisibility());
    if (event.key === "Escape" && stop) {
      stop.click();
      find("#box textarea")?.focus();
    }
    // A new line, as everywhere else; Gradio would send the question.
    if (event.key === "Enter" && event.shiftKey && event.target.closest?.("#box textarea")) event.stopPropagation();
  }, true);

  // Markdown's marks are no part of what was said: what is copied is what is seen.
  const words = (said) => {
    if (!find(".katex", said)) return said.innerText.trim();
    const copy = said.cloneNode(true);
    const source = (formula, open, close) => formula.replaceWith(open + find("annotation", formula).textContent + close);
    copy.querySelectorAll(".katex-display").forEach((formula) => source(formula, "$$", "$$"));
    copy.querySelectorAll(".katex").forEach((formula) => source(formula, "\\(", "\\)"));
    return copy.textContent.trim();
  };
  const write = navigator.clipboard?.writeText.bind(navigator.clipboard);
  let copied = null;
  if (write) navigator.clipboard.writeText = (text) => write(copied ?? text);
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("#chat .message-buttons button[title='Copy message']");
    if (!button) return;
    const row = button.closest(".message-buttons").previousElementSibling;
    const said = [...row.querySelectorAll("[data-testid=user], [data-testid=bot]")].at(-1);
    copied = said ? words(said) : null;
    setTimeout(() => { copied = null; });
  }, true);

  if (innerWidth >= 1100) find("#settings:not(.open) .toggle-button")?.click();
}
