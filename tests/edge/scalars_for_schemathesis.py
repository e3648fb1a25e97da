"""What schemathesis sends for our scalars: amounts that are right, nearly right and wrong."""

import schemathesis
from hypothesis import strategies as st
from schemathesis.graphql import nodes

AMOUNTS = st.one_of(st.from_regex(r"\A[0-9]{1,8}\.[0-9]{2}\Z"), st.text(max_size=12), st.just("117.00"))

schemathesis.graphql.scalar("Money", AMOUNTS.map(nodes.String))
