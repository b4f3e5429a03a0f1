"""`python -m gpd.pages.offline FILE`: a page template with which `dvc plots` works without a network.

DVC's own template loads vega from a CDN. This one carries it; `make setup` writes it and sets it in DVC's config.
"""

import sys
from pathlib import Path

TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
    {refresh_tag}
    <meta charset="utf-8">
    <title>Plots</title>
    <script>%s</script>
</head>
<body>
    {plot_divs}
</body>
</html>
"""


def main() -> None:
    """Writes the template."""
    import vl_convert

    bundle = vl_convert.javascript_bundle(None)  # type: ignore[arg-type]  # the stub has str; None is all of vega
    Path(sys.argv[1]).write_text(TEMPLATE % bundle, encoding="utf-8")


if __name__ == "__main__":
    main()
