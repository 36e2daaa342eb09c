"""Vendors' layouts for tests: one daily bar of AAPL, as each vendor writes it."""

YAHOO = "Date,Open,High,Low,Close,Adj Close,Volume"
STOOQ = "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>"

LAYOUTS = {
    "tidy": ("x.csv", "symbol,exchange,ts,o,h,l,c,v,interval\nAAPL,US,2024-06-13,10,12,9,11,500,daily"),
    "stooq": ("x.txt", f"{STOOQ}\nAAPL.US,D,20240613,000000,10,12,9,11,500,0"),
    "stooq without a header": ("x.txt", "AAPL.US,D,20240613,000000,10,12,9,11,500,0"),
    "yahoo, by symbol": ("AAPL.csv", f"{YAHOO}\n2024-06-13,10,12,9,11,10.7,500"),
    "a name before the symbol": ("prices__aapl.us.csv", f"{YAHOO}\n2024-06-13,10,12,9,11,10.7,500"),
    "pandas-datareader": ("AAPL.csv", "Date,High,Low,Open,Close,Volume,Adj Close\n2024-06-13,12,9,10,11,500,10.7"),
    "yfinance with its offset": (
        "AAPL.csv",
        "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits\n2024-06-13 00:00:00-04:00,10,12,9,11,500,0,0",
    ),
    "yfinance, three lines": (
        "x.csv",
        "Price,Adj Close,Close,High,Low,Open,Volume\nTicker,AAPL,AAPL,AAPL,AAPL,AAPL,AAPL\nDate,,,,,,\n"
        "2024-06-13,10.7,11,12,9,10,500",
    ),
    "a ticker first": (
        "x.csv",
        "Ticker,Date,Open,High,Low,Close,Volume,Adj Close\nAAPL,2024-06-13,10,12,9,11,500,1",
    ),
    "semicolons and commas": ("AAPL.csv", f"{YAHOO.replace(',', ';')}\n13.06.2024;10,0;12;9;11,0;10,7;500"),
    "abbreviated volume": ("AAPL.csv", f"{YAHOO}\n2024-06-13,10,12,9,11,10.7,0.5K"),
    "a month's name": ("AAPL.csv", f"{YAHOO}\n13-Jun-2024,10,12,9,11,10.7,500"),
    "tabs": ("AAPL.tsv", f"{YAHOO}\n2024-06-13,10,12,9,11,10.7,500".replace(",", "\t")),
    "nasdaq": ("AAPL.csv", "Date,Close/Last,Volume,Open,High,Low\n06/13/2024,$11.00,500,$10.00,$12.00,$9.00"),
    "metatrader": (
        "AAPL.csv",
        "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n2024.06.13\t10\t12\t9\t11\t40\t500\t1",
    ),
    "euronext": (
        "AAPL.csv",
        '"Historical Data"\n"From 2024-06-13 to 2024-06-14"\nUS0378331005\n'
        'Date;Open;High;Low;Last;Close;"Number of Shares";"Number of Trades";Turnover\n'
        "13/06/2024;10.0;12.0;9.0;11.1;11.0;500;25;5400;10.8",
    ),
    "all quoted": (
        "AAPL.csv",
        '"Date","Open","High","Low","Close","Volume"\n"2024-06-13","10","12","9","11","500"',
    ),
}
"""By the name of a layout, a file's name and content."""
