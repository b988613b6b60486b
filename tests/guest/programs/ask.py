# Python's requests as a client: `ask.py URL N REPORT`. Half of the N requests share a session, every fourth is
# a POST; to REPORT goes how many answers had each status.
import collections
import sys

import requests

url, number = sys.argv[1], int(sys.argv[2])
session = requests.Session()
statuses = collections.Counter()
for i in range(number):
    by = session if i < number / 2 else requests
    answer = by.post(url, data=b"x" * 3000) if i % 4 == 3 else by.get(url)
    statuses[answer.status_code] += 1
with open(sys.argv[3], "w") as report:
    for status, count in statuses.items():
        report.write(f"{status} {count}\n")
