// Before anything is drawn: what only a script can do may be shown.
document.documentElement.classList.add("js");
