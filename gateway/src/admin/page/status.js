// Refreshes the page every two seconds. Without JavaScript, reload it manually.
"use strict";
async function refresh() {
  const note = document.getElementById("note");
  try {
    const response = await fetch("/", { cache: "no-store" });
    if (!response.ok) throw new Error("status " + response.status);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    document.querySelector("main").replaceWith(page.querySelector("main"));
    document.title = page.title;
    note.textContent = "Refreshed every two seconds.";
  } catch (error) {
    note.textContent = "No response from the gateway since " + (note.dataset.since ||= new Date().toLocaleTimeString()) + ".";
    return setTimeout(refresh, 2000);
  }
  delete note.dataset.since;
  setTimeout(refresh, 2000);
}
setTimeout(refresh, 2000);
