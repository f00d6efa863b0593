"""``/study`` and ``/readings``: the plan of a study, the next image of a reader, and adjudication."""
