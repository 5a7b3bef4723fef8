"""The small models of the papers, exact: equations, weights in closed form, and what they cost."""
