"""The paper's whole table in one command: which runs, training them, and a report from what they left."""
