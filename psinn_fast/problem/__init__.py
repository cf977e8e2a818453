"""Problems: a PDE, the conditions on its solution, where they hold, and how such a problem is best trained."""
