-- The tables that the documents speak of, with a few rows.
CREATE TABLE customers (id integer PRIMARY KEY, segment text NOT NULL, name text NOT NULL DEFAULT '');
CREATE TABLE users (id integer PRIMARY KEY, name text NOT NULL, email text, phone text, password text, street text, country text,
  customer_id integer REFERENCES customers);
CREATE TABLE orders (id integer PRIMARY KEY, state text NOT NULL, user_id integer NOT NULL REFERENCES users, ref_no text, note text,
  carrier text, total numeric(12,2), accountable boolean NOT NULL DEFAULT true, placed_at timestamp, placed_on date, sent_on date);
CREATE TABLE billing_infos (id integer PRIMARY KEY, order_id integer NOT NULL REFERENCES orders, vat text, street text);
CREATE TABLE products (id integer PRIMARY KEY, code text NOT NULL, kind text NOT NULL);
CREATE TABLE line_items (id integer PRIMARY KEY, order_id integer NOT NULL REFERENCES orders, product_id integer REFERENCES products,
  position integer, sku text NOT NULL, item_id integer, qty integer NOT NULL, price numeric(12,2) NOT NULL);
CREATE INDEX users_customer_id ON users (customer_id);
CREATE INDEX orders_user_id ON orders (user_id);
CREATE INDEX billing_infos_order_id ON billing_infos (order_id);
CREATE INDEX line_items_order_id ON line_items (order_id);
CREATE INDEX line_items_product_id ON line_items (product_id);
INSERT INTO customers (id, segment) VALUES (1, 'retail');
INSERT INTO users (id, name, email, customer_id) VALUES (7, 'Ada', 'ada@example.com', 1), (8, 'Bob', NULL, NULL);
INSERT INTO orders (id, state, user_id, ref_no, total) VALUES (42, 'placed', 7, 'R-42', 39.00), (43, 'draft', 8, 'R-43', 0);
INSERT INTO products VALUES (1, 'WIDGET', 'goods'), (2, 'GADGET', 'goods');
INSERT INTO line_items (id, order_id, product_id, sku, item_id, qty, price) VALUES (1, 42, 1, '201', 201, 2, 9.50), (2, 42, 2, '202', 202, 1, 20.00);
