"""The same training step by many means, one a file. Only `ours` knows psinn_fast; the others need their own
library."""
