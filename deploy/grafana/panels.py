"""Building blocks of Grafana dashboards: panels, rows and variables as plain dictionaries."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

# Colours by meaning, the same on every dashboard.
GOOD, WARN, BAD, QUIET, NEUTRAL = "green", "orange", "red", "text", "blue"


def query(expr, legend="", *, instant=False, table=False, heatmap=False):
    """One PromQL query of a panel. `instant` asks for one value instead of a range."""
    target = {"datasource": DATASOURCE, "expr": expr, "legendFormat": legend or "__auto"}
    target |= {"instant": True, "range": False} if instant else {"instant": False, "range": True}
    target["format"] = "table" if table else "heatmap" if heatmap else "time_series"
    return target


def quantiles(metric, selector, window, levels=(0.5, 0.9, 0.99), by="", legend="p{level}"):
    """Queries of several quantiles of a histogram."""
    group = f"le, {by}" if by else "le"
    return [
        query(
            f"histogram_quantile({level}, sum by ({group}) (rate({metric}_bucket{{{selector}}}[{window}])))",
            legend.format(level=f"{level * 100:g}"),
        )
        for level in levels
    ]


def values(mapping):
    """Value mappings: number -> (text, colour)."""
    options = {
        str(number): {"text": text, "color": colour, "index": index}
        for index, (number, (text, colour)) in enumerate(mapping.items())
    }
    return [{"type": "value", "options": options}]


def steps(base, *limits):
    """Thresholds: the colour below all limits, then (limit, colour) in rising order."""
    marks = [{"color": base, "value": None}]
    return {"mode": "absolute", "steps": marks + [{"color": colour, "value": limit} for limit, colour in limits]}


def _panel(kind, title, unit, targets, about, *, decimals=None, thresholds=None, mappings=None, no_value=None):
    for index, target in enumerate(targets):
        target["refId"] = chr(ord("A") + index)
    defaults = {"unit": unit, "thresholds": thresholds or steps(GOOD), "mappings": mappings or []}
    if decimals is not None:
        defaults["decimals"] = decimals
    if no_value is not None:
        defaults["noValue"] = no_value
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": DATASOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {},
    }


def number(title, unit, targets, about, *, colour="value", **more):
    """A large number; the newest value of each query."""
    panel = _panel("stat", title, unit, targets, about, **more)
    panel["fieldConfig"]["defaults"]["color"] = {"mode": "thresholds"}
    panel["options"] = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": colour,
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
    }
    return panel


def name(title, targets, about):
    """A word: the legend of the newest series."""
    panel = number(title, "short", targets, about, colour="none", thresholds=steps(QUIET))
    panel["options"]["textMode"] = "name"
    return panel


def lines(title, unit, targets, about, *, stack=False, bars=False, minimum=0, maximum=None, colours=None, **more):
    """Values over time. `colours` fixes the colour of a legend."""
    panel = _panel("timeseries", title, unit, targets, about, **more)
    defaults = panel["fieldConfig"]["defaults"]
    defaults["color"] = {"mode": "palette-classic"}
    defaults["min"] = minimum
    if maximum is not None:
        defaults["max"] = maximum
    defaults["custom"] = {
        "drawStyle": "bars" if bars else "line",
        "lineWidth": 1,
        "fillOpacity": 60 if bars else 20 if stack else 5,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stack else "none", "group": "A"},
    }
    panel["fieldConfig"]["overrides"] = [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for name, colour in (colours or {}).items()
    ]
    panel["options"] = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel


def states(title, targets, about, mappings):
    """A band for each series, coloured by what it is."""
    panel = _panel("state-timeline", title, "short", targets, about, mappings=mappings)
    panel["fieldConfig"]["defaults"]["color"] = {"mode": "thresholds"}
    panel["fieldConfig"]["defaults"]["custom"] = {"fillOpacity": 80, "lineWidth": 0}
    panel["options"] = {
        "mergeValues": True,
        "showValue": "auto",
        "alignValue": "left",
        "rowHeight": 0.9,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return panel


def heatmap(title, unit, targets, about):
    """How often each bucket of a histogram was hit, over time."""
    panel = _panel("heatmap", title, unit, targets, about)
    panel["options"] = {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "exponent": 0.5, "steps": 64, "reverse": False},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "tooltip": {"mode": "single", "yHistogram": False},
        "yAxis": {"axisPlacement": "left", "unit": unit},
    }
    return panel


def table(title, unit, targets, about, *, hide=(), rename=None, **more):
    """One row for each series, labels as columns."""
    panel = _panel("table", title, unit, targets, about, **more)
    panel["options"] = {"showHeader": True, "cellHeight": "sm"}
    hidden = {name: True for name in ("Time", "__name__", "instance", "job", *hide)}
    panel["transformations"] = [
        {"id": "organize", "options": {"excludeByName": hidden, "indexByName": {}, "renameByName": rename or {}}}
    ]
    return panel


def row(title, *placed, collapsed=False):
    """A row of panels: (panel, width, height) each, laid out left to right, wrapping at 24."""
    return {"title": title, "collapsed": collapsed, "placed": placed}


def _lay_out(rows):
    """Gives every panel its id and place."""
    panels, top, serial = [], 0, 0
    for part in rows:
        serial += 1
        head = {"type": "row", "title": part["title"], "collapsed": part["collapsed"], "id": serial, "panels": []}
        head["gridPos"] = {"h": 1, "w": 24, "x": 0, "y": top}
        panels.append(head)
        top, left, tallest = top + 1, 0, 0
        for panel, width, height in part["placed"]:
            if left + width > 24:
                top, left, tallest = top + tallest, 0, 0
            serial += 1
            panel = panel | {"id": serial, "gridPos": {"h": height, "w": width, "x": left, "y": top}}
            (head["panels"] if part["collapsed"] else panels).append(panel)
            left, tallest = left + width, max(tallest, height)
        top += tallest if not part["collapsed"] else 0
    return panels


def variable(name, label, source):
    """A selection of label values, several at once or all.

    Without an `allValue`: all means each of the values, so that the pools which are none
    (`sidecar`, with its hours of live log, and `none`) stay out of every sum.
    """
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": DATASOURCE,
        "definition": source,
        "query": {"query": source, "refId": f"variable-{name}"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"text": "All", "value": "$__all"},
    }


# Every dashboard of ours, which all link to one another.
BOARDS = {
    "bascule-failover": "Failover overview",
    "bascule-backends": "Backends",
    "bascule-edge": "Edge",
    "bascule-operation": "Operation",
}


def _links(uid):
    page = {"title": "Bascule dashboard", "url": "http://127.0.0.1:3000", "icon": "external link"}
    others = [{"title": title, "url": f"/d/{it}", "icon": "dashboard"} for it, title in BOARDS.items() if it != uid]
    for link in (page, *others):
        link |= {"type": "link", "targetBlank": link is page, "keepTime": link is not page}
        link |= {"includeVars": False, "asDropdown": False, "tags": [], "tooltip": ""}
        yield link


def _mark(title, colour, expr, text, *, at_value=True):
    """An annotation. `at_value`: the value is the moment itself, in milliseconds, so that the mark is exact
    whatever the step of the graph. Otherwise the time for which there are samples is shaded."""
    return {
        "name": title,
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "datasource": DATASOURCE,
        "expr": expr,
        "useValueForTime": at_value,
        "step": "1s",
        "titleFormat": title,
        "textFormat": text,
        "tagKeys": "pool,instance",
    }


def _marks(variables):
    """What happened, on every graph."""
    pool = 'pool=~"$pool"' if any(it["name"] == "pool" for it in variables) else 'pool!=""'
    return [
        _mark("Incident", WARN, f"max by (pool) (bascule_failover_in_progress{{{pool}}}) == 1", "pool {{pool}}", at_value=False),
        _mark("Failover or failback", BAD, f"bascule_failover_last_timestamp_seconds{{{pool}}} * 1000 > 0", "pool {{pool}}"),
        _mark("Reload", NEUTRAL, "bascule_config_last_reload_timestamp_seconds * 1000 > 0", "{{instance}}"),
        _mark("Process started", QUIET, 'process_start_time_seconds{job="bascule"} * 1000', "{{instance}}"),
    ]


def dashboard(uid, title, about, variables, rows):
    """A whole dashboard."""
    source = {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus"}
    return {
        "uid": uid,
        "title": title,
        "description": about,
        "tags": ["bascule", "generated"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "timezone": "browser",
        "timepicker": {"refresh_intervals": ["1s", "5s", "10s", "30s", "1m", "5m"]},
        "links": list(_links(uid)),
        "annotations": {"list": _marks(variables)},
        "templating": {"list": [source | {"refresh": 1, "current": {}}, *variables]},
        "panels": _lay_out(rows),
    }
