// Stands for packages that are not installed: no module.
