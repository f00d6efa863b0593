"""Research replays behind commands of ``scripts``: ablation, simulated annotation, store benchmark, plots."""
