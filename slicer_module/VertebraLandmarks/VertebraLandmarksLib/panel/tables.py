"""Table widgets that are filled incrementally: only texts that differ are changed."""

import qt


def prepare(table, widths):
    """Set the widths of a table's columns in pixels; None for the one that stretches."""
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
    """Set the number of rows."""
    if table.rowCount != count:
        table.setRowCount(count)


def fill_from(table, first, rows):
    """Show rows of texts, beginning at an existing row."""
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
