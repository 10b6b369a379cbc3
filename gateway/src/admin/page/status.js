// Exchanges what the page says for what it says now. Without a script, reload it.
"use strict";
async function renew() {
  const note = document.getElementById("note");
  try {
    const answer = await fetch("/", { cache: "no-store" });
    if (!answer.ok) throw new Error("status " + answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelector("main").replaceWith(page.querySelector("main"));
    document.title = page.title;
    note.textContent = "Renewed each two seconds.";
  } catch (error) {
    note.textContent = "No answer from the gateway since " + (note.dataset.since ||= new Date().toLocaleTimeString()) + ".";
    return setTimeout(renew, 2000);
  }
  delete note.dataset.since;
  setTimeout(renew, 2000);
}
setTimeout(renew, 2000);
