"""The mechanics of every service's HTTP door: problems, limits, threads of correlation, health. No business rule."""
