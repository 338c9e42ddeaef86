CREATE TABLE customers (
  id       @ID@,
  name     text NOT NULL,
  segment  text NOT NULL
);
CREATE TABLE users (
  id           @ID@,
  customer_id  integer REFERENCES customers (id),
  name         text NOT NULL,
  email        text NOT NULL,
  last_seen_at timestamp
);
CREATE INDEX users_customer_id ON users (customer_id);
CREATE TABLE orders (
  id        @ID@,
  user_id   integer NOT NULL REFERENCES users (id),
  ref_no    text NOT NULL UNIQUE,
  state     text NOT NULL DEFAULT 'draft',
  note      text,
  carrier   text,
  placed_on date,
  sent_on   date,
  views     integer NOT NULL DEFAULT 0
);
CREATE INDEX orders_user_id ON orders (user_id);
CREATE TABLE billing_infos (
  id       @ID@,
  order_id integer NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
  name     text NOT NULL,
  vat      text,
  phone    text
);
CREATE INDEX billing_infos_order_id ON billing_infos (order_id);
CREATE TABLE line_items (
  id       @ID@,
  order_id integer NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
  item_id  integer NOT NULL,
  qty      integer NOT NULL,
  price    decimal(10,2) NOT NULL,
  picked   boolean NOT NULL DEFAULT false
);
CREATE INDEX line_items_order_id ON line_items (order_id);
