// Shows how the chosen job is called, and what the chosen crontab means. Without scripts only this help is missing.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const explain = (selectId, dataId, show) => {
    const select = document.getElementById(selectId);
    const data = document.getElementById(dataId);
    if (!select || !data) return;
    const words = JSON.parse(data.textContent);
    const help = document.createElement("div");
    help.className = "help signature";
    select.closest(".form-row").append(help);
    const update = () => { help.textContent = select.value in words ? show(words[select.value]) : ""; };
    select.addEventListener("change", update);
    update();
  };
  explain("id_task", "job-calls", (job) => (job.doc ? job.call + "\n\n" + job.doc : job.call));
  explain("id_crontab", "crontab-words", (words) => words);
});
