"""Tables whose items stay: filling one again changes only the texts that differ."""

import qt


def prepare(table, widths):
    """Set the widths of a table's columns in pixels; None for the one that takes what is left."""
    header = table.horizontalHeader()
    for column, width in enumerate(widths):
        if width is None:
            header.setSectionResizeMode(column, qt.QHeaderView.Stretch)
        else:
            header.setSectionResizeMode(column, qt.QHeaderView.Interactive)
            table.setColumnWidth(column, width)


def fill(table, rows):
    """Show rows of texts."""
    resize(table, len(rows))
    fill_from(table, 0, rows)


def resize(table, count):
    """Let a table have so many rows."""
    if table.rowCount != count:
        table.setRowCount(count)


def fill_from(table, first, rows):
    """Show rows of texts from a row on that is there already."""
    for row, texts in enumerate(rows, first):
        for column, text in enumerate(texts):
            item = table.item(row, column)
            if item is None:
                item = qt.QTableWidgetItem(text)
                item.setToolTip(text)
                table.setItem(row, column, item)
            elif item.text() != text:
                item.setText(text)
                item.setToolTip(text)
