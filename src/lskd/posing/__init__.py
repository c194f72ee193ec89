"""Questions that others ask of a run's pictures, put to its teacher and to students (Table 5)."""
