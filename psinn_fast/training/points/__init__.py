"""Where terms are asked for: points drawn again, chosen by residual, folded by symmetry, held out."""
