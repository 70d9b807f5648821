// Copy buttons and the early-access form; without this the page reads the same, and the form sends itself.
for (const button of document.querySelectorAll('button[data-copy]')) {
  button.hidden = !navigator.clipboard;
  button.setAttribute('aria-describedby', button.dataset.copy);
  const said = button.textContent;
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Not copied';
    }
    setTimeout(() => { button.textContent = said; }, 1500);
  });
}

for (const form of document.querySelectorAll('form.form')) {
  const told = form.querySelector('.told');
  const submit = form.querySelector('button[type=submit]');
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    submit.disabled = true;
    told.textContent = 'Sending…';
    try {
      const body = JSON.stringify(Object.fromEntries(new FormData(form)));
      const answer = await fetch(form.action, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      const { error } = await answer.json();
      told.textContent = answer.ok ? 'Thank you. We will write when there is news.' : `${error.message}.`;
      if (answer.ok) form.reset();
    } catch {
      told.textContent = 'That did not arrive. Are you online?';
    }
    submit.disabled = false;
  });
}
