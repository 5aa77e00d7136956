document.documentElement.classList.add("js");
for (const field of document.querySelectorAll(".filter")) {
  const rows = document.getElementById(field.dataset.rows).querySelectorAll("details");
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    for (const row of rows) {
      row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
    }
  });
}
