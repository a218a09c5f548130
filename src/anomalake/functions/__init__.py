"""The Lambda entry points, thin: environment and event in, answer out."""
