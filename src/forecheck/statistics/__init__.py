"""Ground floor: metrics, tests on window losses, conformal intervals."""
