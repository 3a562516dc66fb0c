"""The matrix's page, ``matrix.html``: every release's files in every release, route by route."""

from __future__ import annotations

from harness.gate import matrix_views, routes
from harness.gate.result import MatrixResult
from harness.report.layout import templates


def render_matrix(result: MatrixResult) -> str:
    """Return the page as text: one HTML document that needs no other file and no script."""
    order = routes.releases(result.cells, result.releases)
    totals = matrix_views.pair_totals(result.cells)
    return (
        templates(whole="matrix.json")
        .get_template("matrix.html.j2")
        .render(
            version=result.harness,
            result=result,
            releases=order,
            totals=totals,
            working=sum(total.works for total in totals.values()),
            usable=sum(total.usable for total in totals.values()),
            groups=matrix_views.pair_groups(totals, order),
            summaries=matrix_views.route_totals(result),
            advice=matrix_views.advice(result.cells),
            routes=routes.routes(result.cells),
        )
    )
